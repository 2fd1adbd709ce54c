import { encodeBatch, decodeHello, decodeReply, FrameReader, garbled, MOST_CALLS } from './guest-frames.ts'
import type { Batch, Encoded, Hello, Outcome, Reply } from './guest-frames.ts'
import { errorName, GuestError, signalName } from './guest-error.ts'
import { guestFiles } from './guest-files.ts'
import type { Answer, Call, ChildAnswers, Guest, GuestProcess, Repeat, Rounds } from './guest-types.ts'
import { systemCall } from './system-calls.ts'

/** What the program ends with: native/probe/probe.h. */
export const REFUSED = 99

export interface GuestOptions {
  /** ms a request may take inside (default 5,000). */
  readonly limit?: number
  /** ms more until the conversation is given up (default 20,000: the machine may be under load). */
  readonly patience?: number
}

/**
 * Speaks with the program inside over its streams. Requests are made one after the other, whoever asks. Throws
 * GuestError: `GONE` (with what it said on stderr) when it ended, `TIMEOUT`, `EPROTO` when something else answers.
 */
export async function openGuest(process: GuestProcess, options: GuestOptions = {}): Promise<Guest> {
  const wire = new Wire(process, options.patience ?? 20_000)
  try {
    const hello = decodeHello(await wire.next(0))
    const conversation = new Conversation(wire, hello, options.limit ?? 5000)
    return { ...guestOf(conversation, hello), [Symbol.asyncDispose]: () => wire.close() }
  } catch (error) {
    await wire.close()
    throw error
  }
}

/** Frames in order over the process's streams. */
class Wire {
  readonly #process: GuestProcess
  readonly #patience: number
  readonly #frames: Buffer[] = []
  #failure: GuestError | undefined
  #wake: () => void = () => undefined

  constructor(process: GuestProcess, patience: number) {
    this.#process = process
    this.#patience = patience
    const reader = new FrameReader()
    const fail = (error: unknown): void => this.#fail(error)
    process.stdout.on('data', (piece: Buffer) => {
      try {
        this.#frames.push(...reader.push(piece))
        this.#wake()
      } catch (error) {
        fail(error)
      }
    })
    process.stdout.on('error', fail)
    process.stdin.on('error', fail)
    process.stdout.on('end', () => fail(this.#gone()))
    process.ended.then(() => fail(this.#gone()), fail)
  }

  #gone(): GuestError {
    const complaint = this.#process.complaint().trim()
    return new GuestError('GONE', `the program inside ended${complaint === '' ? '' : `: ${complaint}`}`)
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof GuestError ? error : new GuestError('GONE', String(error))
    this.#wake()
  }

  send(bytes: Buffer): void {
    this.#process.stdin.write(bytes)
  }

  /** The next frame; `limit` ms are what it may take inside. After a failure there is none. */
  async next(limit: number): Promise<Buffer> {
    const timer = setTimeout(
      () => this.#fail(new GuestError('TIMEOUT', `the program inside did not answer within ${limit} ms`)),
      limit + this.#patience,
    )
    try {
      for (;;) {
        const frame = this.#frames.shift()
        if (frame !== undefined) return frame
        if (this.#failure !== undefined) throw this.#failure
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      clearTimeout(timer)
    }
  }

  async close(): Promise<void> {
    this.#fail(new GuestError('GONE', 'the conversation with the program inside is over'))
    this.#process.stdin.end()
    await this.#process[Symbol.asyncDispose]()
  }
}

type Ask = Omit<Batch, 'id'>

/** One request at a time; the next begins when the answer is there, also when it was a failure. */
class Conversation {
  readonly limit: number
  readonly #wire: Wire
  readonly #machine: string
  #last: Promise<unknown> = Promise.resolve()
  #id = 0

  constructor(wire: Wire, hello: Hello, limit: number) {
    this.#wire = wire
    this.#machine = hello.machine
    this.limit = limit
  }

  async ask(ask: Ask): Promise<Reply> {
    this.#id += 1
    const encoded = encodeBatch({ ...ask, id: this.#id }, (name) => this.#numberOf(name))
    const answer = this.#last.then(async () => this.#carryOut(encoded, ask.limit))
    this.#last = answer.catch(() => undefined)
    return answer
  }

  async #carryOut(encoded: Encoded, limit: number): Promise<Reply> {
    this.#wire.send(encoded.bytes)
    return decodeReply(await this.#wire.next(limit), encoded)
  }

  #numberOf(name: string): number {
    const number = systemCall(this.#machine, name)
    if (number === undefined) throw new GuestError('ENOSYS', `${this.#machine} has no system call ${name}`)
    return number
  }
}

function guestOf(talk: Conversation, hello: Hello): Omit<Guest, typeof Symbol.asyncDispose> {
  const batch = async (calls: readonly Call[]): Promise<readonly Answer[]> => {
    const reply = await talk.ask({ limit: talk.limit, repeat: 1, children: 0, calls })
    return answersOf(reply, calls)
  }
  const fork = async (calls: readonly Call[], limit = talk.limit): Promise<ChildAnswers> => {
    const reply = await talk.ask({ limit, repeat: 1, children: 1, calls })
    if (reply.forkError !== 0)
      throw new GuestError(
        errorName(reply.forkError),
        `making a process inside failed: ${errorName(reply.forkError)}`,
      )
    const signal = reply.status & 0x7f
    return {
      answers: answersOf(reply, calls),
      exit: signal === 0 ? (reply.status >> 8) & 0xff : undefined,
      signal: signal === 0 ? undefined : signalName(signal),
    }
  }
  return {
    ...guestFiles(batch, async (calls, limit) => (await fork(calls, limit)).answers),
    pid: hello.pid,
    machine: hello.machine,
    batch,
    fork,
    inChild: async (calls, limit) => (await fork(calls, limit)).answers,
    async syscall(name, ...args) {
      const [answer] = await batch([{ name, args }])
      if (answer === undefined) throw garbled('it answers nothing')
      return answer
    },
    repeat: (calls, repeat) => repeatedly(talk, calls, repeat),
  }
}

const NOT_MADE: Answer = { value: -1n, errno: -1, error: 'NOT-MADE', out: [] }

/** As many as there are calls: what came back, then what ended the batch, then what was not made. */
function answersOf(reply: Reply, calls: readonly Call[]): readonly Answer[] {
  const answers = reply.outcomes.map(answerOf)
  const signal = reply.status & 0x7f
  const ended = signal === 0 ? NOT_MADE.error : signal === 9 ? 'TIMEOUT' : signalName(signal)
  return calls.map((_, index) => {
    if (index === answers.length) return { ...NOT_MADE, error: ended }
    return answers[index] ?? NOT_MADE
  })
}

function answerOf({ value, errno, out }: Outcome): Answer {
  return { value, errno, error: errorName(errno), out }
}

async function repeatedly(talk: Conversation, calls: readonly Call[], repeat: Repeat): Promise<Rounds> {
  const { times, milliseconds, processes = 1, keep = 'last' } = repeat
  const limit = milliseconds ?? talk.limit
  if (keep === 'all')
    return keepingAll(talk, calls, Math.min(times ?? 1, Math.floor(MOST_CALLS / calls.length)), limit)
  const most = times ?? (milliseconds === undefined ? 1 : 0)
  const reply = await talk.ask({ limit, repeat: most, children: processes, calls })
  return { rounds: reply.rounds, nanoseconds: reply.took, answers: [answersOf(reply, calls)] }
}

/** One long round that says the same again and again, since the program keeps the last one only. */
async function keepingAll(
  talk: Conversation,
  calls: readonly Call[],
  times: number,
  limit: number,
): Promise<Rounds> {
  const length = calls.length
  const shifted = Array.from({ length: times }, (_, round) =>
    calls.map(({ args, ...call }) => ({
      ...call,
      args: args.map((argument) =>
        typeof argument === 'object' && 'result' in argument
          ? { result: argument.result + round * length }
          : argument,
      ),
    })),
  ).flat()
  const reply = await talk.ask({ limit, repeat: 1, children: 1, calls: shifted })
  const rounds = Math.floor(reply.outcomes.length / length)
  const whole = Array.from({ length: rounds }, (_, round) =>
    reply.outcomes.slice(round * length, (round + 1) * length),
  )
  return {
    rounds,
    nanoseconds: whole.map((round) => round.reduce((sum, { nanoseconds }) => sum + nanoseconds, 0n)),
    answers: whole.map((round) => round.map(answerOf)),
  }
}
