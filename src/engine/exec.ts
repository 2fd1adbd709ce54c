/** `exec`: more processes in a running container. */
import type { Duplex } from 'node:stream'
import { randomBytes } from 'node:crypto'
import { DewarError } from '../base/errors.ts'
import type { ShimProcess } from '../kernel/core-api.ts'
import { withDetachKeys } from './attach.ts'
import { patient } from './replay.ts'
import type { Container, Running } from './container.ts'
import { parseDetachKeys } from './detach-keys.ts'
import type { Directory } from './directory.ts'
import { bundleForFiles, namedConfig } from './launch.ts'
import { reasonFor } from './meanwhile.ts'
import { eventAttributes, type Services } from './services.ts'
import { buildExecProcess } from './spec.ts'
import { execFailure } from './start-failure.ts'
import type { ExecConfig, Execs, ExecView } from './types.ts'

/** How long an ended exec can still be inspected (ms); clients ask for the exit code right after the end. */
const KEPT = 5 * 60_000

export class Exec {
  readonly id = randomBytes(32).toString('hex')
  readonly container: Container
  readonly config: ExecConfig
  state: 'created' | 'running' | 'ended' = 'created'
  process: ShimProcess | undefined
  exitCode: number | null = null

  constructor(container: Container, config: ExecConfig) {
    this.container = container
    this.config = config
  }

  get active(): boolean {
    return this.state !== 'ended'
  }
}

type StartOptions = Parameters<Execs['start']>[1]

export class ExecService implements Execs {
  readonly #services: Services
  readonly #containers: Directory<Container>
  readonly #execs = new Map<string, Exec>()

  constructor(services: Services) {
    this.#services = services
    this.#containers = services.containers
  }

  async create(ref: string, config: ExecConfig): Promise<string> {
    const container = this.#containers.find(ref)
    runningFor(container)
    const [argv0] = config.cmd
    if (argv0 === undefined || argv0 === '')
      throw new DewarError('invalid-argument', 'No exec command specified')
    parseDetachKeys(config.detachKeys ?? '')
    const exec = new Exec(container, config)
    this.#execs.set(exec.id, exec)
    container.execs.set(exec.id, exec)
    this.#emit(exec, `exec_create: ${commandText(config.cmd)}`)
    return exec.id
  }

  async start(id: string, options: StartOptions): Promise<{ stream?: Duplex; tty: boolean }> {
    const exec = this.#find(id)
    if (exec.state === 'running') throw new DewarError('conflict', `exec command ${id} is already running`)
    if (exec.state === 'ended') throw new DewarError('conflict', `exec command ${id} has already run`)
    const running = runningFor(exec.container)
    exec.state = 'running'
    const tty = exec.config.tty
    const reason = reasonFor(this.#services, exec.container)
    try {
      const process = await this.#launch(exec, running, options)
      exec.process = process
      this.#emit(exec, `exec_start: ${commandText(exec.config.cmd)}`)
      void process.exited.then(
        (exit) => this.#ended(exec, exit.code),
        () => this.#ended(exec, 137),
      )
      if (options.detach) return { tty }
      return { tty, stream: await this.#attach(exec, process) }
    } catch (cause) {
      const { error, exitCode } = execFailure(reason(cause), exec.config.cmd[0] ?? '')
      this.#ended(exec, exitCode)
      throw error
    }
  }

  async resize(id: string, rows: number, cols: number): Promise<void> {
    const exec = this.#find(id)
    if (exec.process === undefined || exec.state !== 'running') {
      throw new DewarError('conflict', `exec ${id} is not running`)
    }
    // Without a terminal there is nothing to resize, as with the container's own process.
    if (exec.config.tty) await exec.process.resize(rows, cols)
  }

  async inspect(id: string): Promise<ExecView> {
    const exec = this.#find(id)
    const { config } = exec
    const [entrypoint = '', ...rest] = config.cmd
    return {
      id: exec.id,
      containerId: exec.container.id,
      running: exec.state === 'running',
      exitCode: exec.exitCode,
      pid: exec.process?.pid ?? 0,
      config,
      canRemove: exec.state === 'ended',
      entrypoint,
      arguments: rest,
      openStdin: config.attachStdin,
      openStdout: config.attachStdout,
      openStderr: config.attachStderr,
    }
  }

  async #launch(exec: Exec, running: Running, options: StartOptions): Promise<ShimProcess> {
    const consoleSize = options.consoleSize ?? exec.config.consoleSize ?? undefined
    const { attachStdin, attachStdout, attachStderr } = exec.config
    return startProcess(this.#services, exec.container, running, exec.config, {
      attach: !options.detach && (attachStdout || attachStderr) ? 1 : 0,
      stdin: !options.detach && attachStdin,
      consoleSize,
    })
  }

  async #attach(exec: Exec, process: ShimProcess): Promise<Duplex> {
    const { attachStdin, attachStdout, attachStderr, tty, detachKeys } = exec.config
    const stream = patient(
      await process.attach({ stdin: attachStdin, stdout: attachStdout, stderr: attachStderr }),
    )
    if (!tty || !attachStdin) return stream
    return withDetachKeys(stream, detachKeys, () => this.#emit(exec, 'exec_detach'))
  }

  #ended(exec: Exec, code: number): void {
    if (exec.state === 'ended') return
    exec.state = 'ended'
    exec.exitCode = code
    if (exec.process !== undefined) this.#emit(exec, 'exec_die', { exitCode: String(code) })
    setTimeout(() => {
      this.#execs.delete(exec.id)
      exec.container.execs.delete(exec.id)
    }, KEPT).unref()
  }

  #find(id: string): Exec {
    const exec = this.#execs.get(id)
    if (exec === undefined) throw new DewarError('not-found', `No such exec instance: ${id}`)
    return exec
  }

  #emit(exec: Exec, action: string, more: Readonly<Record<string, string>> = {}): void {
    const attributes = { ...eventAttributes(exec.container), execID: exec.id, ...more }
    this.#services.bus.emit('container', action, exec.container.id, attributes)
  }
}

/** As dockerd writes it: the program, a space, the arguments; so a program alone is followed by a space. */
export function commandText([program = '', ...rest]: readonly string[]): string {
  return `${program} ${rest.join(' ')}`
}

function runningFor(container: Container): Running {
  if (container.paused) {
    throw new DewarError('conflict', `Container ${container.id} is paused, unpause the container before exec`)
  }
  if (container.live.kind === 'restarting') {
    throw new DewarError(
      'conflict',
      `Container ${container.id} is restarting, wait until the container is running`,
    )
  }
  const running = container.running
  if (running === undefined) throw new DewarError('conflict', `container ${container.id} is not running`)
  return running
}

type ProcessConfig = Pick<ExecConfig, 'cmd' | 'env' | 'workingDir' | 'user' | 'tty' | 'privileged'>

/** One more process in the container; health checks use it too. */
export async function startProcess(
  services: Services,
  container: Container,
  running: Running,
  config: ProcessConfig,
  options: {
    /** How many will attach to its output. */
    readonly attach: number
    readonly stdin: boolean
    readonly consoleSize: readonly [number, number] | undefined
    /** Ends it on the way to its program. */
    readonly signal?: AbortSignal
  },
): Promise<ShimProcess> {
  const { record } = container
  const user = await services.users.resolve(
    container,
    config.user || record.config.user,
    record.hostConfig.groupAdd ?? [],
    running.level,
    () => bundleForFiles(services, container),
  )
  const process = buildExecProcess({
    config: namedConfig(services, record),
    host: record.hostConfig,
    facts: services.facts,
    user,
    cmd: config.cmd,
    env: config.env ?? [],
    workingDir: config.workingDir,
    tty: config.tty,
    privileged: config.privileged,
    consoleSize: options.consoleSize,
  })
  return running.level.exec(running.shim, running.bundle, process, {
    tty: config.tty,
    stdin: options.stdin,
    expectAttach: options.attach,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
}
