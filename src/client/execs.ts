import type { Duplex } from 'node:stream'
import type { Transport } from './transport.ts'
import { createdShape, execInspectShape } from './types.ts'
import type { ExecInspect } from './types.ts'

const at = (id: string, rest: string): string => `/exec/${encodeURIComponent(id)}${rest}`

export interface StartExec {
  readonly Tty: boolean
  /** Rows and columns. */
  readonly ConsoleSize?: readonly [number, number]
}

/** `client.execs`: further commands in a running container. */
export class ExecsClient {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /**
   * `body` is Docker's exec request; gives the exec's id.
   *
   * @example
   * const id = await client.execs.create('web', { Cmd: ['id'], AttachStdout: true, AttachStderr: true })
   * await demultiplex(await client.execs.attach(id, { Tty: false }), process.stdout, process.stderr)
   * const { ExitCode } = await client.execs.inspect(id)
   */
  async create(container: string, body: object): Promise<string> {
    const path = `/containers/${encodeURIComponent(container)}/exec`
    return createdShape(await this.#transport.json({ method: 'POST', path, json: body }), 'exec').Id
  }

  /** Starts it and takes over the connection to its streams. */
  attach(id: string, options: StartExec): Promise<Duplex> {
    return this.#transport.hijack({
      method: 'POST',
      path: at(id, '/start'),
      json: { Detach: false, ...options },
    })
  }

  /** Starts it and leaves it alone. */
  async startDetached(id: string, options: StartExec): Promise<void> {
    await this.#transport.text({ method: 'POST', path: at(id, '/start'), json: { Detach: true, ...options } })
  }

  async resize(id: string, size: { rows: number; columns: number }): Promise<void> {
    await this.#transport.text({
      method: 'POST',
      path: at(id, '/resize'),
      query: { h: size.rows, w: size.columns },
    })
  }

  async inspect(id: string): Promise<ExecInspect> {
    return execInspectShape(await this.#transport.json({ method: 'GET', path: at(id, '/json') }), 'exec')
  }
}
