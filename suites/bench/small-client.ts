import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { LifeCycle } from './life-cycle.ts'

/** The client in life.c: what it measures is the engine's, where Node's own client takes a part of each request. */
export class SmallClient implements AsyncDisposable {
  readonly #process
  readonly #lines

  constructor(program: string, socket: string, image: string, network: 'none' | 'bridge') {
    const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit']
    this.#process = spawn(program, [socket, image, network], { stdio })
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
  }

  /** One more life. */
  async lifeCycle(): Promise<LifeCycle> {
    const [create = NaN, start = NaN, wait = NaN, remove = NaN] = (await this.#ask('')).split(' ').map(Number)
    return { create, start, wait, remove }
  }

  /** That many at once, by processes with connections of their own: the time of all, divided by their number. */
  async livesAtOnce(count: number): Promise<number> {
    return Number(await this.#ask(String(count)))
  }

  async #ask(what: string): Promise<string> {
    this.#process.stdin.write(`${what}\n`)
    const line: IteratorResult<string, undefined> = await this.#lines.next()
    if (line.done === true) throw new Error('leading a life by a small client: it ended, and says why above')
    return line.value
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.stdin.end()
    await ended
  }
}
