/** A container's life: started, stopped, ended, started again, removed. The story of one container in one file. */
import { DewarError, messageOf } from '../base/errors.ts'
import type { Exit, Shim } from '../kernel/core-api.ts'
import { SIGNALS } from '../kernel/signals.ts'
import { abandonPending } from './attach.ts'
import type { Container } from './container.ts'
import { removeRunFolder } from './container-folder.ts'
import { Departures } from './departures.ts'
import { HealthMonitor } from './health.ts'
import { killLeftovers } from './leftovers.ts'
import { bundleForFiles } from './launch.ts'
import { takeBack } from './live-networks.ts'
import { runFolder } from './options.ts'
import { decideRestart } from './restart-policy.ts'
import { eventAttributes, levelOf, type Services } from './services.ts'
import { emitDetached, releaseVolumes, removeVolumes, Starter, type StartCounters } from './starter.ts'
import { cancelRestart, Stopping, type StopOptions } from './stopping.ts'
import type { Trash } from './trash.ts'

const SIGKILL = SIGNALS['KILL'] ?? 9

export class Lifecycle {
  readonly stopping: Stopping
  readonly #services: Services
  readonly #starter: Starter
  readonly #trash: Trash
  /** Containers in the middle of `restart` are not removed by --rm when their first run ends. */
  readonly #restarting = new WeakSet<Container>()
  readonly #departures: Departures
  #closing = false

  constructor(services: Services, trash: Trash) {
    this.#services = services
    this.#trash = trash
    this.#departures = new Departures(services)
    this.stopping = new Stopping(services)
    this.#starter = new Starter(services, {
      ended: (container, exit) => this.#ended(container, exit),
      shimGone: (container) => this.#shimGone(container),
    })
  }

  // ------------------------------------------------------------------ start

  async start(container: Container): Promise<void> {
    await container.lock.run(() => this.#startByHand(container))
  }

  async #startByHand(container: Container): Promise<void> {
    if (container.paused)
      throw new DewarError('conflict', 'cannot start a paused container, try unpause instead')
    if (container.live.kind === 'running')
      throw new DewarError('not-modified', `container ${container.id} is already running`)
    if (container.live.kind === 'removing') {
      throw new DewarError('conflict', 'container is marked for removal and cannot be started')
    }
    cancelRestart(container)
    await this.#launch(container, { restartCount: 0, lastDelay: 0 })
  }

  async #launch(container: Container, counters: StartCounters): Promise<void> {
    try {
      await container.settled()
      await this.#starter.launch(container, counters)
    } catch (error) {
      if (container.record.hostConfig.autoRemove) await this.#remove(container, { removeVolumes: true })
      throw error
    }
  }

  /** A shim found again after a restart of the engine. */
  adopt(container: Container, shim: Shim): void {
    this.#starter.adopt(container, shim)
  }

  // ------------------------------------------------------------------ end

  async #ended(container: Container, exit: Exit): Promise<void> {
    const { code, oomKilled, at } = exit
    await this.#over(container, { code, oomKilled, at, error: '' }, container.running?.shim)
  }

  /** The shim was killed: end what it left, clean up behind it, and say so. */
  async #shimGone(container: Container): Promise<void> {
    // The engine itself is going: the container and its shim stay.
    if (this.#closing) return
    const running = container.running
    if (running !== undefined)
      await killLeftovers(this.#services, running.level, running.bundle, running.shim.pid)
    await this.#over(container, {
      code: 128 + SIGKILL,
      oomKilled: false,
      at: Date.now(),
      error: 'the process that kept this container (its shim) was killed; the container was ended with it',
    })
  }

  /** A run is over, seen now or found out after a restart of the engine. */
  async #over(
    container: Container,
    end: { code: number; oomKilled: boolean; at: number; error: string },
    shim?: Shim,
  ): Promise<void> {
    const { bus, networks } = this.#services
    if (container.record.network.changed === true) await takeBack(this.#services, container.record)
    const { record } = container
    const startedAt = record.state.status === 'created' ? end.at : record.state.startedAt
    container.health ??= HealthMonitor.of(this.#services, container)
    container.health?.end()
    networks.left(record)
    const ended = {
      exitCode: end.code,
      manuallyStopped: record.manuallyStopped,
      restartCount: record.restartCount,
      ranFor: end.at - startedAt,
      lastDelay: record.lastDelay,
    }
    const decision = decideRestart(record.hostConfig.restartPolicy, ended)
    const state = {
      status: 'exited',
      startedAt,
      finishedAt: end.at,
      exitCode: end.code,
      oomKilled: end.oomKilled,
      error: end.error,
    } as const
    container.live = { kind: 'idle' }
    if (decision.restart && !this.#closing) this.#scheduleRestart(container, decision.delay)
    const attributes = eventAttributes(container)
    // At once: between the end and its record, a wait would be told of the run before.
    container.note({ state, networks: networks.idle(container.record), ports: {} })
    const recorded = this.#departures.begin(container, shim)
    await releaseVolumes(this.#services, container)
    if (end.oomKilled) bus.emit('container', 'oom', container.id, attributes)
    const execDuration = String(Math.max(0, Math.floor((end.at - startedAt) / 1000)))
    bus.emit('container', 'die', container.id, { ...attributes, exitCode: String(end.code), execDuration })
    emitDetached(this.#services, record)
    container.notifyExit(container.lastResult())
    if (record.hostConfig.autoRemove && !this.#restarting.has(container)) {
      void container.lock
        .run(() => this.#remove(container, { removeVolumes: true }))
        .catch((error: unknown) =>
          this.#services.warn(`Removing container ${container.name} failed: ${messageOf(error)}`),
        )
    }
    await recorded
  }

  #scheduleRestart(container: Container, delay: number): void {
    const again = (): Promise<void> =>
      container.lock.run(async () => {
        if (container.live.kind !== 'restarting') return
        container.live = { kind: 'idle' }
        await this.#launch(container, { restartCount: container.record.restartCount + 1, lastDelay: delay })
      })
    // A restart that fails leaves the container stopped, with the reason in its state.
    const timer = setTimeout(() => void again().catch(() => undefined), delay)
    container.live = { kind: 'restarting', timer }
  }

  // ------------------------------------------------------------------ stop, restart

  async stop(container: Container, options: StopOptions): Promise<void> {
    // A start or restart under way comes to its end first: it would not hear of the stop.
    if (container.live.kind === 'idle') await container.lock.run(() => Promise.resolve())
    const { running } = container
    if (container.live.kind === 'restarting') await this.stopping.endRestarts(container)
    else if (running !== undefined) await this.stopping.end(container, running, options)
    else throw new DewarError('not-modified', `container ${container.id} is not running`)
    this.#services.bus.emit('container', 'stop', container.id, eventAttributes(container))
  }

  async restart(container: Container, options: StopOptions): Promise<void> {
    await container.lock.run(async () => {
      this.#restarting.add(container)
      try {
        cancelRestart(container)
        if (container.running !== undefined) await this.stop(container, options)
        await this.#startByHand(container)
      } finally {
        this.#restarting.delete(container)
      }
    })
    this.#services.bus.emit('container', 'restart', container.id, eventAttributes(container))
  }

  // ------------------------------------------------------------------ remove

  async remove(
    container: Container,
    ref: string,
    options: { force: boolean; volumes: boolean },
  ): Promise<void> {
    if (container.live.kind === 'removing') {
      throw new DewarError('conflict', `removal of container ${ref} is already in progress`)
    }
    await container.lock.run(async () => {
      if (this.#services.containers.byId(container.id) !== container) return
      const running = container.running
      if ((running !== undefined || container.live.kind === 'restarting') && !options.force) {
        const what = container.paused
          ? 'paused and must be unpaused first'
          : 'running: stop the container before removing or force remove'
        throw new DewarError('conflict', `cannot remove container "${ref}": container is ${what}`)
      }
      cancelRestart(container)
      if (running !== undefined)
        await this.stopping.end(container, running, { signal: 'SIGKILL', timeout: 10 })
      cancelRestart(container)
      await this.#remove(container, { removeVolumes: options.volumes })
    })
  }

  /** The lock is held. Gone for clients at once; who waits for the removal finds nothing of its files any more. */
  async #remove(container: Container, options: { removeVolumes: boolean }): Promise<void> {
    const { containers, ranges, bus, networks } = this.#services
    if (containers.byId(container.id) !== container) return
    container.live = { kind: 'removing' }
    abandonPending(container)
    await this.#services.ready.drop(container.id)
    // Made in advance, and never used.
    if (container.record.state.status === 'created')
      removeRunFolder(runFolder(this.#services.settings, container.id))
    const { departing, paths } = container
    const deleted = this.#trash.take(paths.folder, departing && ((path) => departing.discard(path)))
    containers.delete(container)
    networks.free(container.id)
    if (container.record.range !== null) ranges.release(container.id, container.record.range)
    if (options.removeVolumes) await removeVolumes(this.#services, container)
    await deleted
    bus.emit('container', 'destroy', container.id, eventAttributes(container))
    container.notifyRemoved()
  }

  // ------------------------------------------------------------------ the engine's own end and beginning

  /** After this nothing is started or recorded; containers and shims stay. Answers whether none runs. */
  async close(): Promise<boolean> {
    this.#closing = true
    const all = [...this.#services.containers.values()]
    for (const container of all) cancelRestart(container)
    // A start or a removal under way comes to its end first.
    await Promise.all(all.map((container) => container.lock.run(() => Promise.resolve())))
    await this.#departures.all()
    const running = all.filter((container) => container.running !== undefined)
    for (const container of running) {
      container.health?.stop()
      container.running?.shim.close()
    }
    return running.length === 0
  }

  /** For the reconciliation at start-up: an end that nobody saw. */
  async foundEnded(container: Container, exit: Exit | undefined): Promise<void> {
    const level = levelOf(this.#services, container)
    if (exit === undefined)
      await killLeftovers(this.#services, level, bundleForFiles(this.#services, container), undefined)
    await this.#over(container, {
      code: exit?.code ?? 128 + SIGKILL,
      oomKilled: exit?.oomKilled ?? false,
      at: exit?.at ?? Date.now(),
      error:
        exit === undefined ? 'the container ended while no engine was running, together with its shim' : '',
    })
  }

  /** The engine was killed before the start it had recorded: clean up behind it and say that it was never started. */
  async neverStarted(container: Container): Promise<void> {
    await killLeftovers(
      this.#services,
      levelOf(this.#services, container),
      bundleForFiles(this.#services, container),
      undefined,
    )
    const state = {
      status: 'created',
      exitCode: 0,
      error: 'the engine ended while the container was being started',
    } as const
    container.note({ state, networks: this.#services.networks.idle(container.record), ports: {} })
    await this.#departures.record(container)
  }

  /** Starts what a restart policy wants running when the engine opens. */
  async startWithEngine(container: Container): Promise<void> {
    await container.lock.run(async () => {
      if (container.live.kind === 'idle')
        await this.#launch(container, { restartCount: container.record.restartCount, lastDelay: 0 })
    })
  }
}
