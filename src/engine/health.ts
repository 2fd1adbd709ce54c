/** Health checks of one running container: a probe through exec, again and again, until it ends. */
import { messageOf } from '../base/errors.ts'
import { goDurationText } from './build/go-duration.ts'
import type { Container } from './container.ts'
import { patient } from './replay.ts'
import { commandText, startProcess } from './exec.ts'
import {
  HEALTH_STARTING,
  MAX_OUTPUT,
  nextHealth,
  nextProbeIn,
  probePlan,
  type ProbePlan,
  type ProbeResult,
} from './health-state.ts'
import { newId } from './names.ts'
import { eventAttributes, type Services } from './services.ts'
import type { Health } from './types.ts'

export class HealthMonitor {
  health: Health
  readonly #services: Services
  readonly #container: Container
  readonly #plan: ProbePlan
  #timer: NodeJS.Timeout | undefined
  /** Counts beginnings: what an earlier one is about finds another number, and ends. */
  #turn = 0
  #abort = new AbortController()
  /** Resolves when the last probe has ended, in whatever way. */
  #over: Promise<void> = Promise.resolve()

  private constructor(services: Services, container: Container, plan: ProbePlan) {
    this.#services = services
    this.#container = container
    this.#plan = plan
    // As with dockerd the last results outlive a run.
    this.health = { ...HEALTH_STARTING, log: container.health?.health.log ?? [] }
  }

  /** undefined when the container has no health check. */
  static of(services: Services, container: Container): HealthMonitor | undefined {
    const { healthcheck, shell } = container.record.config
    const plan = probePlan(healthcheck, shell ?? ['/bin/sh', '-c'])
    return plan === undefined ? undefined : new HealthMonitor(services, container, plan)
  }

  /** Also after `stop`. A paused container cannot answer: `unpause` begins again. */
  begin(): void {
    if (this.#container.paused) return this.end()
    this.stop()
    this.#schedule(this.#turn)
  }

  /** Nobody looks any more: as dockerd's, it is not healthy until the next probe says so. */
  end(): void {
    this.stop()
    this.health = { ...this.health, status: 'unhealthy' }
  }

  stop(): void {
    this.#turn += 1
    clearTimeout(this.#timer)
    this.#abort.abort()
  }

  #schedule(turn: number): void {
    const wait = nextProbeIn(this.health, this.#plan, this.#age())
    this.#timer = setTimeout(() => void this.#round(turn), wait)
  }

  async #round(turn: number): Promise<void> {
    const result = await this.#probe()
    if (turn !== this.#turn) return
    this.#take(result)
    this.#schedule(turn)
  }

  #take(result: ProbeResult): void {
    const before = this.health.status
    this.health = nextHealth(this.health, result, this.#plan, this.#age())
    if (this.health.status === before) return
    const { bus } = this.#services
    bus.emit(
      'container',
      `health_status: ${this.health.status}`,
      this.#container.id,
      eventAttributes(this.#container),
    )
  }

  /**
   * Bounded as a whole: what it runs in is the guest's, which can hold it up at every step, before its program too, and so
   * can a dead disk.
   */
  async #probe(): Promise<ProbeResult> {
    const start = Date.now()
    const result = (exitCode: number, output: string): ProbeResult => ({
      start,
      end: Date.now(),
      exitCode,
      output: output.slice(0, MAX_OUTPUT),
    })
    const said: Said = { text: '' }
    const abort = (this.#abort = new AbortController())
    // After the one before: those that no signal ends, in a call to a dead disk, would pile up.
    const attempt = this.#over.then(() => this.#attempt(said, abort.signal))
    this.#over = attempt.then(
      () => undefined,
      () => undefined,
    )
    try {
      const code = await within(attempt, this.#plan.timeout)
      if (code !== undefined) return result(code, said.text)
    } catch (error) {
      return result(-1, messageOf(error))
    }
    abort.abort()
    const words = `Health check exceeded timeout (${goDurationText(this.#plan.timeout * 1e6)})`
    return result(-1, said.text === '' ? words : `${words}: ${said.text}`)
  }

  /** Its exit code. When `signal` aborts it is killed, on its way or later. */
  async #attempt(said: Said, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    const running = this.#container.running
    if (running === undefined) throw new Error('the container does not run')
    // Probes are execs, and are told of as such.
    const shown = commandText(this.#plan.argv)
    const execID = newId()
    const emit = (action: string, more: Readonly<Record<string, string>> = {}): void =>
      this.#services.bus.emit('container', action, this.#container.id, {
        ...eventAttributes(this.#container),
        execID,
        ...more,
      })
    emit(`exec_create: ${shown}`)
    const config = {
      cmd: this.#plan.argv,
      env: null,
      workingDir: '',
      user: '',
      tty: false,
      privileged: false,
    }
    const options = { attach: 1, stdin: false, consoleSize: undefined, signal }
    const process = await startProcess(this.#services, this.#container, running, config, options)
    onAbort(signal, () => void process.signal(9).catch(() => undefined))
    emit(`exec_start: ${shown}`)
    void process.exited.then(
      ({ code }) => emit('exec_die', { exitCode: String(code) }),
      () => undefined,
    )
    const stream = patient(await process.attach({ stdin: false }))
    onAbort(signal, () => stream.destroy())
    const reading = collect(stream, said)
    const { code } = await process.exited
    await reading
    return code
  }

  #age(): number {
    const { state } = this.#container.record
    return state.status === 'running' ? Date.now() - state.startedAt : 0
  }
}

/** What a probe has printed so far, on both streams; no more than `MAX_OUTPUT` and a chunk. */
interface Said {
  text: string
}

/** The first bytes of a multiplexed stream, without its frames' headers. */
async function collect(stream: AsyncIterable<Buffer>, said: Said): Promise<void> {
  let pending = Buffer.alloc(0)
  try {
    for await (const chunk of stream) {
      pending = Buffer.concat([pending, chunk])
      while (pending.length >= 8 && pending.length >= 8 + pending.readUInt32BE(4)) {
        const end = 8 + pending.readUInt32BE(4)
        if (said.text.length < MAX_OUTPUT) said.text += pending.toString('utf8', 8, end)
        pending = pending.subarray(end)
      }
    }
  } catch {
    // The stream was cut off by a timeout: what came before it counts.
  }
}

function onAbort(signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act()
  else signal.addEventListener('abort', act, { once: true })
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), ms)))
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
