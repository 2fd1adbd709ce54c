import type { Client } from '../../client/connect.ts'
import { guestArgv, processOfConnection } from '../guest-process.ts'
import type { GuestProcess } from '../guest-types.ts'
import type { ExecOptions, Subject } from '../target.ts'

interface Parts {
  readonly client: Client
  readonly id: string
  readonly name: string
  readonly pid: number
  readonly pids: () => Promise<readonly number[]>
  readonly remove: () => Promise<void>
}

/** A container of an engine, addressed through its API. */
export class DockerSubject implements Subject {
  readonly id: string
  readonly name: string
  readonly pid: number
  readonly #parts: Parts
  #removed: Promise<void> | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    this.id = parts.id
    this.name = parts.name
    this.pid = parts.pid
  }

  pids(): Promise<readonly number[]> {
    return this.#parts.pids()
  }

  async exec(options: ExecOptions = {}): Promise<GuestProcess> {
    const { execs } = this.#parts.client
    const id = await execs.create(this.id, {
      Cmd: [...(options.argv ?? (await guestArgv()))],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: false,
      ...(options.user === undefined ? {} : { User: options.user }),
      ...(options.workingFolder === undefined ? {} : { WorkingDir: options.workingFolder }),
      ...(options.env === undefined
        ? {}
        : { Env: Object.entries(options.env).map(([name, value]) => `${name}=${value}`) }),
      Privileged: options.privileged ?? false,
    })
    return processOfConnection(await execs.attach(id, { Tty: false }))
  }

  async alive(): Promise<boolean> {
    const found = await this.#parts.client.containers.inspect(this.id).catch(() => undefined)
    return found?.State.Running ?? false
  }

  async address(): Promise<string | undefined> {
    const { NetworkSettings } = await this.#parts.client.containers.inspect(this.id)
    const addresses = Object.values(NetworkSettings.Networks).map(({ IPAddress }) => IPAddress)
    return addresses.find((address) => address !== '')
  }

  async stop(): Promise<void> {
    await this.#parts.client.containers.stop(this.id, { timeout: 1 })
  }

  remove(): Promise<void> {
    return (this.#removed ??= this.#parts.remove())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove()
  }
}
