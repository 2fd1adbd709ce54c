/** A control connection to a shim: what is asked of it, and what it tells of the end. */
import type { Socket } from 'node:net'
import { basename } from 'node:path'
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import type { Exit } from './core-api.ts'
import { failureOf, frame, onFrames, u32, type Frame } from './frames.ts'
import type { Plan } from './plan.ts'
import { SIGNALS } from './signals.ts'

/**
 * ms in which a container that has ended may be removed more cheaply (programs that wait for it do that next), and in
 * which who goes by its number may come to its end.
 */
const LINGER = 1000

interface Waiting {
  readonly resolve: (payload: Frame) => void
  readonly reject: (error: Error) => void
}

/** Thrown when the shim went away before it could tell how the container ended. */
export class ShimGone extends DewarError {
  constructor(runDir: string) {
    super('system', `Talking to the shim in ${runDir} failed: it has gone`)
  }
}

/** Thrown when something was to be done by the number of a first process that has ended. */
export class HasEnded extends DewarError {
  constructor(runDir: string) {
    super('conflict', `Reaching into container ${basename(runDir)} failed: it has just ended`, {
      remedy: 'start it again',
    })
  }
}

/** One control connection: requests are answered in order by O, S or F; X comes by itself when a process ends. */
export class Control {
  readonly exited: Promise<Exit>
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #waiting: Waiting[] = []
  #plan: Plan | undefined
  #runDir: string
  /** The other side has gone, or we have. */
  gone = false
  #told = false
  #lingers = false
  #holds = 0
  readonly #unanswered = new Set<() => void>()

  constructor(socket: Socket, runDir: string, plan?: Plan) {
    this.#socket = socket
    this.#runDir = runDir
    this.#plan = plan
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    this.exited = new Promise((resolve, reject) => {
      onFrames(socket, (f) => {
        if (f.type !== 'X') return this.#answer(f)
        this.#told = true
        resolve(exitOf(f.payload))
        // Whoever still holds it: the next start, or a removal, is not to wait for a client that has stopped reading.
        const timer = setTimeout(() => socket.end(), LINGER).unref()
        socket.once('close', () => clearTimeout(timer))
        this.#letGo()
        this.#nobodyAnswers()
      })
      socket.on('error', () => undefined) // 'close' follows
      socket.on('end', () => socket.end())
      socket.on('close', () => {
        this.gone = true
        const gone = new ShimGone(this.#runDir)
        for (const w of this.#waiting.splice(0)) w.reject(gone)
        reject(gone)
      })
    })
    this.exited.catch(() => undefined) // whoever cares awaits it
  }

  #answer(f: Frame): void {
    const w = this.#waiting.shift()
    // A plan that waited at its gate has failed: it takes no rest any more, and waits for us to have heard of it.
    if (w === undefined) return f.type === 'F' ? this.close() : undefined
    if (f.type === 'F') w.reject(failureOf(f.payload, this.#plan))
    else w.resolve(f)
  }

  /**
   * Until our side of the connection ends, for a bounded time, the shim keeps its process as a zombie, and with it the
   * number. A zombie's namespaces cannot be opened: it is held from the asking to the opening. `release` may end that.
   */
  async holding<T>(work: (release: () => void) => Promise<T>): Promise<T> {
    if (this.#told || this.gone) throw new HasEnded(this.#runDir)
    let held = true
    this.#holds += 1
    const release = (): void => {
      if (held) this.#holds -= 1
      held = false
      this.#letGo()
    }
    try {
      return await work(release)
    } finally {
      release()
    }
  }

  /** What is asked from now on is about this plan and that folder. */
  turnTo(runDir: string, plan: Plan): void {
    this.#runDir = runDir
    this.#plan = plan
  }

  /** The connection is to outlast the end for a moment. Asked before there is one. */
  linger(): void {
    this.#lingers = true
  }

  /** The moment is over. */
  settle(): void {
    if (!this.#told) return
    this.#lingers = false
    this.#letGo()
  }

  /**
   * Waits for the shim's answer on another connection. When it has told of the end it accepts none any more, but as long
   * as it lives who connects waits: then `unheard` has to make an end of that.
   */
  async answered<T>(answer: Promise<T>, unheard: () => void): Promise<T> {
    this.#unanswered.add(unheard)
    if (this.#told) this.#nobodyAnswers()
    try {
      return await answer
    } finally {
      this.#unanswered.delete(unheard)
    }
  }

  /** In a later turn: what it had answered before the end is read in this one. */
  #nobodyAnswers(): void {
    setImmediate(() => {
      for (const unheard of this.#unanswered) unheard()
    })
  }

  #letGo(): void {
    if (this.#told && this.#holds === 0 && !this.#lingers) this.#socket.end()
  }

  ask(request: Buffer): Promise<Frame> {
    if (this.gone) return Promise.reject(new ShimGone(this.#runDir))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#socket.write(request)
    })
  }

  /** Not answered by itself. */
  tell(message: Buffer): void {
    if (!this.gone) this.#socket.write(message)
  }

  /**
   * For an exec that has not told of its start: its shim sees our side end, kills what it made and goes. If the start is
   * being told of just now, it hears the signal first.
   */
  giveUp(): void {
    this.ask(frame('K', u32(SIGNALS['KILL'] ?? 9))).catch(() => undefined)
    this.#socket.end()
  }

  close(): void {
    this.gone = true
    this.#socket.destroy()
  }

  /** Nothing is asked any more; `closed` then tells that the other side has gone. */
  end(): void {
    this.#socket.end()
  }
}

const exitSchema = z.object({ code: z.number(), seconds: z.number() })

/**
 * What a shim tells of the end, and writes into the file `exit`: a line of JSON, then what stands in the cgroup's
 * memory.oom_control or memory.events.
 */
export function exitOf(told: Buffer): Exit {
  const [line = '', ...events] = told.toString().split('\n')
  const { code, seconds } = exitSchema.parse(JSON.parse(line))
  return {
    code,
    at: Math.floor(seconds * 1000),
    oomKilled: events.some((event) => /^oom_kill [1-9]/.test(event)),
  }
}
