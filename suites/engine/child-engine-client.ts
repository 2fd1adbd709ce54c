/** An engine in a process of its own (child-engine.ts), asked by lines, to be killed. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Home } from './fixture.ts'

export class ChildEngine {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor({ options }: Home) {
    const script = fileURLToPath(new URL('./child-engine.js', import.meta.url))
    this.#child = spawn(process.execPath, [script, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    if (this.#child.stdout === null) throw new Error('no output')
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async line(): Promise<string> {
    const next = await this.#lines.next()
    if (next.done === true) throw new Error('the engine ended')
    return next.value
  }

  send(request: object): void {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`)
  }

  async ask(request: object): Promise<string> {
    this.send(request)
    return this.line()
  }

  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await ended
  }
}

export async function childEngine(house: Home): Promise<ChildEngine> {
  const child = new ChildEngine(house)
  assert.equal(await child.line(), 'ready')
  return child
}

export const create = (cmd: readonly string[], hostConfig: object = {}, config: object = {}) => ({
  create: {
    config: { image: 'busybox', cmd, ...config },
    hostConfig: { networkMode: 'none', ...hostConfig },
    endpoints: {},
  },
})
