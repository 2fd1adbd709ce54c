/** Starting a container, from its record to a running shim, or to the reason why not. */
import { messageOf, type DewarError } from '../base/errors.ts'
import type { Bundle } from '../isolation/level.ts'
import type { Exit, Shim } from '../kernel/core-api.ts'
import { PlanFailed } from '../kernel/plan-failed.ts'
import { portKey } from '../network/ports.ts'
import { storageError } from '../store/write-whole.ts'
import { foreignSources, requireAnswers } from './answering.ts'
import { abandonPending, connectPending } from './attach.ts'
import type { Container } from './container.ts'
import { removeRunFolder } from './container-folder.ts'
import { devicePaths } from './devices.ts'
import { HealthMonitor } from './health.ts'
import { bundleForFiles, bundleForStart, prepareFolders } from './launch.ts'
import { whileJoined } from './joins.ts'
import { followLinks } from './links.ts'
import { runFolder } from './options.ts'
import type { ContainerRecord, RecordedState } from './record.ts'
import { eventAttributes, levelOf, type Services } from './services.ts'
import { busyPort, portFailure, startFailure } from './start-failure.ts'

/** Free ports are chosen again this often when others are quicker. */
const PORT_ATTEMPTS = 20

export interface StartCounters {
  readonly restartCount: number
  /** Milliseconds. */
  readonly lastDelay: number
}

/** What happens to a run later is not the starter's business. */
export interface StarterHooks {
  ended(container: Container, exit: Exit): Promise<void>
  shimGone(container: Container): Promise<void>
}

export class Starter {
  readonly #services: Services
  readonly #hooks: StarterHooks

  constructor(services: Services, hooks: StarterHooks) {
    this.#services = services
    this.#hooks = hooks
  }

  /** Throws what `startFailure` makes of it; the record then says why, and nothing is left of the attempt. */
  async launch(container: Container, counters: StartCounters): Promise<void> {
    const before = container.record.state
    try {
      await this.#services.volumes.mountFor(container)
      const { mounts, hostConfig } = container.record
      await requireAnswers([...foreignSources(mounts), ...devicePaths(hostConfig)])
      const shim = await this.#tryPorts(container, counters)
      await connectPending(container, shim)
    } catch (cause) {
      const { error, exitCode } = startFailure(cause, container.record.path)
      await this.#failed(container, before, error, exitCode)
      throw error
    }
    container.health?.begin()
  }

  /** Again with other ports when one that was chosen freely proved to be somebody else's. */
  async #tryPorts(container: Container, counters: StartCounters): Promise<Shim> {
    const { networks } = this.#services
    const busy = new Set<string>()
    await networks.guards.settle(container.id)
    await networks.ready(container.record)
    for (let attempt = 1; ; attempt += 1) {
      const { chosen, ...network } = networks.plan(container, busy)
      // On disk before the shim starts: whoever comes after a crash knows what to look for.
      const state = {
        status: 'running',
        startedAt: Date.now(),
        paused: false,
        ...endBefore(container),
      } as const
      await container.update({ ...network, ...counters, state, manuallyStopped: false })
      prepareContainer(this.#services, container)
      try {
        return await container.layers.run(() => this.#startShim(container))
      } catch (error) {
        const port = busyPort(error, container.record)
        if (port === undefined) throw error
        const again = error instanceof PlanFailed && error.errno === 'EADDRINUSE' && chosen.has(portKey(port))
        if (!again || attempt === PORT_ATTEMPTS) throw portFailure(error, container.record, port)
        busy.add(portKey(port))
      }
    }
  }

  async #startShim(container: Container): Promise<Shim> {
    const level = levelOf(this.#services, container)
    const { containers, core, ready } = this.#services
    const { shim, bundle } = await whileJoined(container.record.hostConfig, containers, async () => {
      const bundle = await bundleForStart(this.#services, container)
      const begun = await ready.claim(container.id)
      try {
        return { bundle, shim: await level.start(core, bundle, begun) }
      } catch (error) {
        // What is wrong may have been seen before anything went on from there.
        begun?.drop()
        await begun?.gone
        throw error
      }
    })
    this.adopt(container, shim, bundle)
    // Before anything else can happen: the end of a short run may be on its way already.
    emitVolumeEvents(this.#services, container.record, 'mount')
    followLinks(this.#services, container)
    emitNetworkEvents(this.#services, container.record, 'connect')
    this.#services.bus.emit('container', 'start', container.id, eventAttributes(container))
    ready.another(container)
    return shim
  }

  /** From here on the container runs; also for shims found again after a restart of the engine. */
  adopt(container: Container, shim: Shim, bundle: Bundle = bundleForFiles(this.#services, container)): void {
    const level = levelOf(this.#services, container)
    const ended = shim.exited
      .then(
        (exit) => this.#hooks.ended(container, exit),
        () => this.#hooks.shimGone(container),
      )
      // Nobody may be waiting, and one container's trouble is not to end the engine.
      .catch((error: unknown) =>
        this.#services.warn(`Ending container ${container.name}: ${messageOf(error)}`),
      )
    container.live = { kind: 'running', shim, bundle, level, ended }
    container.health = HealthMonitor.of(this.#services, container)
  }

  async #failed(
    container: Container,
    before: RecordedState,
    error: DewarError,
    exitCode: number,
  ): Promise<void> {
    const { networks } = this.#services
    abandonPending(container)
    await releaseVolumes(this.#services, container)
    networks.left(container.record)
    container.live = { kind: 'idle' }
    const state =
      before.status === 'exited' || before.status === 'dead'
        ? // How the run before ended is told on, unless the program itself is why there is no other.
          {
            ...before,
            exitCode: exitCode === 128 && before.exitCode !== 0 ? before.exitCode : exitCode,
            error: error.message,
          }
        : ({ status: 'created', exitCode, error: error.message } as const)
    // The disk may be why it did not start; that reason is the one to tell.
    const change = { state, networks: networks.idle(container.record), ports: {} }
    if (await container.remember(change, this.#services.warn))
      removeRunFolder(runFolder(this.#services.settings, container.id))
  }
}

/** The end of the last run is shown while the next one goes on. */
function endBefore({ record: { state } }: Container): { readonly finishedAt?: number } {
  if (state.status === 'created') return {}
  return state.finishedAt === undefined ? {} : { finishedAt: state.finishedAt }
}

/** What cannot be unmounted now is tried again when the engine opens; it keeps nobody from ending. */
export async function releaseVolumes(services: Services, container: Container): Promise<void> {
  await services.volumes.releaseFor(container).catch((error: unknown) => services.warn(messageOf(error)))
}

/** What an ended container is off now. */
export function emitDetached(services: Services, record: ContainerRecord): void {
  emitNetworkEvents(services, record, 'disconnect')
  emitVolumeEvents(services, record, 'unmount')
}

/** One for each volume the container has. */
function emitVolumeEvents(services: Services, record: ContainerRecord, action: 'mount' | 'unmount'): void {
  for (const { point } of record.mounts) {
    if (point.type !== 'volume' || point.name === undefined) continue
    const { destination, propagation, rw } = point
    const more = { destination, propagation, 'read/write': String(rw) }
    const driver = point.driver ?? 'local'
    services.bus.emit('volume', action, point.name, {
      container: record.id,
      driver,
      ...(action === 'mount' ? more : {}),
    })
  }
}

/** One for each network the container is on. */
export function emitNetworkEvents(
  services: Services,
  record: ContainerRecord,
  action: 'connect' | 'disconnect',
): void {
  for (const [name, { networkID }] of Object.entries(record.networks)) {
    const type = services.networks.known.lookup(networkID)?.driver ?? 'bridge'
    services.bus.emit('network', action, networkID, { container: record.id, name, type })
  }
}

function prepareContainer(services: Services, container: Container): void {
  try {
    prepareFolders(services, container)
  } catch (error) {
    throw storageError(`Preparing the files of container ${container.name}`, error)
  }
}

/** The anonymous ones. Who waits for the container's removal is not left waiting, whatever becomes of them. */
export async function removeVolumes({ volumes, warn }: Services, { name, record }: Container): Promise<void> {
  try {
    for (const { anonymous, point } of record.mounts)
      if (anonymous) await volumes.removeUnused(point.name ?? '')
  } catch (error) {
    warn(`Removing the volumes of container ${name} failed: ${messageOf(error)}`)
  }
}

/** Volumes without a name that were made for a container that was not. */
export async function removeMadeVolumes({ volumes, warn }: Services, id: string): Promise<void> {
  const made = volumes.claims.madeFor(id)
  volumes.claims.drop(id)
  for (const name of made) {
    await volumes.removeUnused(name).catch((error: unknown) => warn(messageOf(error)))
  }
}
