/** Ending and freezing what runs: stop, kill, pause. Nothing here starts anything. */
import { DewarError } from '../base/errors.ts'
import { LONGEST_TIMER } from '../base/longest-timer.ts'
import { PlanFailed } from '../kernel/plan-failed.ts'
import { ShimGone } from '../kernel/shim-control.ts'
import { isFrozen, isThawed } from '../kernel/cgroup.ts'
import { parseSignal, SIGNALS } from '../kernel/signals.ts'
import type { Container, Running } from './container.ts'
import { hasEnded, meanwhile } from './meanwhile.ts'
import { eventAttributes, type Services } from './services.ts'

const SIGKILL = SIGNALS['KILL'] ?? 9

export interface StopOptions {
  readonly signal?: string
  /** Seconds; -1 waits for ever. */
  readonly timeout?: number
}

export class Stopping {
  readonly #services: Services
  /** Those that SIGKILL is on its way to: frozen after it they could not die of it. */
  readonly #killed = new WeakSet<Running>()
  /** Those that are just being frozen: a signal that comes meanwhile is to be acted on, too. */
  readonly #freezing = new Map<Running, { signalled: boolean }>()

  constructor(services: Services) {
    this.#services = services
  }

  /** Asks it to end, waits, then kills. Resolves when the end is recorded. */
  async end(container: Container, running: Running, options: StopOptions): Promise<void> {
    const { config } = container.record
    const signal = parseSignal(options.signal || config.stopSignal || 'SIGTERM')
    const timeout = options.timeout ?? config.stopTimeout ?? 10
    await container.remember({ manuallyStopped: true }, this.#services.warn)
    await this.#signal(container, running, signal)
    if (await endsWithin(running.ended, timeout)) return
    await this.#signal(container, running, SIGKILL)
    if (await endsWithin(running.ended, 30)) return
    throw new DewarError(
      'system',
      `cannot stop container: ${container.name}: it did not end within 30 s of SIGKILL`,
      {
        remedy: 'a process of it hangs in the kernel, often on a dead network disk',
      },
    )
  }

  /** Between two runs there is nothing to end. Who waits for an end has had the last one. */
  async endRestarts(container: Container): Promise<void> {
    cancelRestart(container)
    await container.remember({ manuallyStopped: true }, this.#services.warn)
    container.notifyExit(container.lastResult())
  }

  async kill(container: Container, ref: string, text: string): Promise<void> {
    const signal = parseSignal(text || 'SIGKILL')
    // A start or restart under way comes to its end first: there is nobody to hear of the signal yet.
    if (container.live.kind === 'idle') await container.lock.run(() => Promise.resolve())
    if (container.live.kind === 'restarting') {
      // As with dockerd any signal ends it, unless the container has a stop signal of its own.
      const { stopSignal } = container.record.config
      if (!stopSignal || signal === SIGKILL || signal === parseSignal(stopSignal))
        await this.endRestarts(container)
      return
    }
    const running = container.running
    if (running === undefined) {
      throw new DewarError(
        'conflict',
        `cannot kill container: ${ref}: container ${container.id} is not running`,
      )
    }
    // Signals that are meant to end it count as stopped by hand; SIGHUP and friends do not.
    const stops =
      signal === SIGKILL || signal === parseSignal(container.record.config.stopSignal || 'SIGTERM')
    if (stops) await container.remember({ manuallyStopped: true }, this.#services.warn)
    await this.#signal(container, running, signal)
    if (signal === SIGKILL) await running.ended
  }

  async #signal(container: Container, running: Running, signal: number): Promise<void> {
    if (signal === SIGKILL) this.#killed.add(running)
    const freezing = this.#freezing.get(running)
    if (freezing !== undefined) freezing.signalled = true
    try {
      await running.shim.signal(signal)
    } catch (error) {
      // It ended in the meantime: what was wanted has happened. A shim that has gone is known before its last word is.
      if (error instanceof ShimGone) await running.ended
      else if (!(error instanceof PlanFailed && error.errno === 'ESRCH') && container.running === running)
        throw error
    }
    const attributes = { ...eventAttributes(container), signal: String(signal) }
    this.#services.bus.emit('container', 'kill', container.id, attributes)
    // A frozen process cannot act on a signal.
    if (container.paused && freezing === undefined) await this.unpause(container).catch(unlessEnded)
  }

  // ------------------------------------------------------------------ pause

  /** `committing`: for the time of a commit, which an engine that is killed does not end. */
  async pause(container: Container, { committing = false } = {}): Promise<void> {
    const running = this.#needRunning(container)
    if (container.paused) throw new DewarError('conflict', `Container ${container.id} is already paused`)
    const freezing = { signalled: false }
    this.#freezing.set(running, freezing)
    try {
      await this.#freeze(container, running)
      await this.#setPaused(container, running, committing ? 'committing' : true)
    } finally {
      this.#freezing.delete(running)
    }
    container.health?.end()
    this.#services.bus.emit('container', 'pause', container.id, eventAttributes(container))
    if (freezing.signalled && container.paused) await this.unpause(container).catch(unlessEnded)
  }

  async #freeze(container: Container, running: Running): Promise<void> {
    await meanwhile(this.#services, container, async () => {
      await running.level.pause(this.#services.core, running.bundle)
      await this.#frozen(running)
    })
    if (this.#killed.has(running) || hasEnded(container, running)) await this.#thaw(container, running)
  }

  /** Of one that ends or has ended nobody else lets go what was frozen, an exec on its way in, say. */
  async #thaw(container: Container, running: Running): Promise<never> {
    await running.level.unpause(this.#services.core, running.bundle).catch(() => undefined)
    throw new DewarError('conflict', `container ${container.id} is not running`)
  }

  /** The kernel freezes in its own time; a process in an uninterruptible call can make it long. */
  async #frozen(running: Running): Promise<void> {
    const path = running.bundle.spec.linux.cgroupsPath
    for (let wait = 1; wait < 1000; wait *= 2) {
      if (await isFrozen(this.#services.cgroups, path)) return
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
    await running.level.unpause(this.#services.core, running.bundle)
    throw new DewarError('system', 'Pausing the container failed: it did not freeze within a second', {
      remedy: 'a process of it is busy in the kernel; try again',
    })
  }

  async unpause(container: Container): Promise<void> {
    // dockerd's status for it, surprising as it is beside that of pause.
    if (!container.paused) throw new DewarError('system', `Container ${container.id} is not paused`)
    const running = this.#needRunning(container)
    await meanwhile(this.#services, container, () =>
      running.level.unpause(this.#services.core, running.bundle),
    )
    await this.#setPaused(container, running, false)
    if (container.running === running) container.health?.begin()
    this.#services.bus.emit('container', 'unpause', container.id, eventAttributes(container))
  }

  async #setPaused(container: Container, running: Running, paused: boolean | 'committing'): Promise<void> {
    const { state } = container.record
    if (container.running !== running || state.status !== 'running') return
    const { committing: _, ...rest } = state
    const next = {
      ...rest,
      paused: paused !== false,
      ...(paused === 'committing' ? { committing: true } : {}),
    }
    await container.remember({ state: next }, this.#services.warn)
  }

  /**
   * After an engine was killed between the kernel and its record, or while it committed: what nobody paused goes on, and
   * what goes on is not called paused.
   */
  async settlePause(container: Container): Promise<void> {
    const { running, record } = container
    if (running === undefined || record.state.status !== 'running') return
    const { paused, committing = false } = record.state
    const thawed = await isThawed(this.#services.cgroups, running.bundle.spec.linux.cgroupsPath)
    if (paused && !committing && !thawed) return
    if (!thawed) await running.level.unpause(this.#services.core, running.bundle)
    if (paused) await this.#setPaused(container, running, false)
  }

  #needRunning(container: Container): Running {
    if (container.live.kind === 'restarting') {
      throw new DewarError(
        'conflict',
        `Container ${container.id} is restarting, wait until the container is running`,
      )
    }
    const running = container.running
    if (running === undefined) throw new DewarError('conflict', `Container ${container.id} is not running`)
    return running
  }
}

/** What has ended needs not be let go on. */
export function unlessEnded(error: unknown): void {
  if (!(error instanceof DewarError) || error.code === 'system') throw error
}

/** The next start does not come by itself. */
export function cancelRestart(container: Container): void {
  if (container.live.kind !== 'restarting') return
  clearTimeout(container.live.timer)
  container.live = { kind: 'idle' }
}

/** Whether it ended in time (s; negative waits for ever). */
export async function endsWithin(ended: Promise<void>, seconds: number): Promise<boolean> {
  if (seconds < 0) return ended.then(() => true)
  let timer: NodeJS.Timeout | undefined
  const ms = Math.min(seconds * 1000, LONGEST_TIMER)
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), ms)))
  try {
    return await Promise.race([ended.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
