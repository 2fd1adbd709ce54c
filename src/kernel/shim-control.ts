/** A control connection to a shim: what is asked of it, and what it tells of the end. */
import type { Socket } from 'node:net'
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import type { Exit } from './core-api.ts'
import { failureOf, onFrames, type Frame } from './frames.ts'
import type { Plan } from './plan.ts'

/** ms in which a container that has ended may be removed more cheaply. Programs that wait for it do that next. */
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

/** One control connection: requests are answered in order by O, S or F; X comes by itself when a process ends. */
export class Control {
  readonly exited: Promise<Exit>
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #waiting: Waiting[] = []
  readonly #plan: Plan | undefined
  readonly #runDir: string
  #gone = false
  #told = false
  #holds = 0
  #lingering: NodeJS.Timeout | undefined

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
        this.#letGo()
      })
      socket.on('error', () => undefined) // 'close' follows
      socket.on('end', () => socket.end())
      socket.on('close', () => {
        this.#gone = true
        const gone = new ShimGone(runDir)
        for (const w of this.#waiting.splice(0)) w.reject(gone)
        reject(gone)
      })
    })
    this.exited.catch(() => undefined) // whoever cares awaits it
  }

  #answer(f: Frame): void {
    const w = this.#waiting.shift()
    if (w === undefined) return
    if (f.type === 'F') w.reject(failureOf(f.payload, this.#plan))
    else w.resolve(f)
  }

  /** Until our side of the connection ends the shim keeps its process as a zombie, and with it the number. */
  async holding<T>(work: () => Promise<T>): Promise<T> {
    if (this.#told || this.#gone) throw new DewarError('conflict', 'The container has ended')
    this.#holds += 1
    try {
      return await work()
    } finally {
      this.#holds -= 1
      this.#letGo()
    }
  }

  /** The connection is to outlast the end for a moment. Asked before there is one. */
  linger(): void {
    const begin = (): void => {
      this.#lingering = setTimeout(() => this.settle(), LINGER).unref()
    }
    this.exited.then(begin, () => undefined)
    this.#holds += 1
  }

  /** The moment is over. */
  settle(): void {
    if (this.#lingering === undefined) return
    clearTimeout(this.#lingering)
    this.#lingering = undefined
    this.#holds -= 1
    this.#letGo()
  }

  #letGo(): void {
    if (this.#told && this.#holds === 0) this.#socket.end()
  }

  ask(request: Buffer): Promise<Frame> {
    if (this.#gone) return Promise.reject(new ShimGone(this.#runDir))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#socket.destroy()
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
