/** The engine's `containers`: finds the container a client names and hands it to the part that does the work. */
import type { Duplex, Readable } from 'node:stream'
import { DewarError } from '../base/errors.ts'
import { pidsIn } from '../kernel/cgroup-live.ts'
import { attachTo } from './attach.ts'
import { containerChanges } from './changes.ts'
import type { Container, WaitResult } from './container.ts'
import { ContainerFiles } from './container-files.ts'
import { checkFilters, matchesFilters, pruneFilter } from './container-filters.ts'
import { containerStats } from './container-stats.ts'
import { updateContainer } from './container-update.ts'
import { createContainer } from './create.ts'
import { cgroupsPath } from './launch.ts'
import type { ImageRoom } from './image-room.ts'
import type { Lifecycle } from './lifecycle.ts'
import { logAttributes } from './log-attributes.ts'
import { checkReadable } from './log-driver.ts'
import { openedLogs } from './logs.ts'
import { checkName } from './names.ts'
import { eventAttributes, type Services } from './services.ts'
import { processTable } from './top.ts'
import type {
  AttachRequest,
  Change,
  Containers,
  ContainerView,
  CreateContainer,
  Filters,
  HostConfig,
  LogsRequest,
  PathStat,
  Stats,
  WaitCondition,
} from './types.ts'
import { etcOwner } from './etc-files.ts'
import { linkNames, removeLink, shownLinks } from './links.ts'
import { containerView } from './view.ts'
import { treeSize } from './walk.ts'

export class ContainerService implements Containers {
  readonly #services: Services
  readonly #lifecycle: Lifecycle
  readonly #files: ContainerFiles
  readonly #images: Pick<ImageRoom, 'size' | 'ancestors'>

  constructor(services: Services, lifecycle: Lifecycle, images: Pick<ImageRoom, 'size' | 'ancestors'>) {
    this.#services = services
    this.#lifecycle = lifecycle
    this.#files = new ContainerFiles(services)
    this.#images = images
  }

  async list(options: Parameters<Containers['list']>[0]): Promise<ContainerView[]> {
    const { containers } = this.#services
    const ancestors = new Map<string, readonly string[]>()
    for (const ref of options.filters.get('ancestor') ?? [])
      ancestors.set(ref, await this.#images.ancestors(ref))
    const context = {
      ancestors: (ref: string) => ancestors.get(ref) ?? [],
      find: (ref: string) => containers.find(ref),
    }
    checkFilters(options.filters, context.find)
    const asked = options.filters.has('status') || options.filters.has('exited')
    // A limit asks for the latest, whatever their state.
    const all = options.all || options.limit > 0 || asked
    const found = [...containers.values()]
      .filter((container) => all || container.live.kind === 'running' || container.live.kind === 'restarting')
      .filter((container) => matchesFilters(container, options.filters, context))
      .sort((a, b) => b.record.created - a.record.created)
    const limited = options.limit > 0 ? found.slice(0, options.limit) : found
    return Promise.all(limited.map((container) => this.#view(container, options.size)))
  }

  async create(request: CreateContainer): Promise<{ id: string; warnings: readonly string[] }> {
    const { container, warnings } = await createContainer(this.#services, request)
    return { id: container.id, warnings }
  }

  async inspect(ref: string, options: { readonly size?: boolean } = {}): Promise<ContainerView> {
    return this.#view(this.#find(ref), options.size ?? false)
  }

  async #view(container: Container, size: boolean): Promise<ContainerView> {
    const links = {
      shown: shownLinks(this.#services, container.record),
      names: linkNames(this.#services, container.id),
    }
    const etc = (etcOwner(this.#services.containers, container) ?? container).paths
    if (!size) return containerView(container, links, etc)
    const rw = await treeSize(container.paths.upper)
    return containerView(container, links, etc, {
      rw,
      rootFs: rw + (await this.#images.size(container.record.imageId).catch(() => 0)),
    })
  }

  start(ref: string): Promise<void> {
    return this.#lifecycle.start(this.#find(ref))
  }

  async stop(ref: string, options: Parameters<Containers['stop']>[1]): Promise<void> {
    await this.#lifecycle.stop(this.#find(ref), options)
  }

  async restart(ref: string, options: Parameters<Containers['restart']>[1]): Promise<void> {
    const container = this.#find(ref)
    try {
      await this.#lifecycle.restart(container, options)
    } catch (error) {
      if (!(error instanceof DewarError)) throw error
      throw new DewarError(error.code, `Cannot restart container ${ref}: ${error.message}`, { cause: error })
    }
  }

  async kill(ref: string, signal: string): Promise<void> {
    await this.#lifecycle.stopping.kill(this.#find(ref), ref, signal)
  }

  async pause(ref: string): Promise<void> {
    await this.#lifecycle.stopping.pause(this.#find(ref))
  }

  async unpause(ref: string): Promise<void> {
    await this.#lifecycle.stopping.unpause(this.#find(ref))
  }

  async rename(ref: string, given: string): Promise<void> {
    const { containers, bus, networks } = this.#services
    if (ref === '' || given === '')
      throw new DewarError('invalid-argument', 'Neither old nor new names may be empty')
    const container = this.#find(ref)
    const name = checkName(given)
    const oldName = container.name
    if (name === oldName)
      throw new DewarError('invalid-argument', 'Renaming a container with the same name as its current name')
    containers.reserveName(name, container.id)
    try {
      await container.update({ name })
    } catch (error) {
      containers.freeName(name)
      throw error
    }
    containers.freeName(oldName)
    if (container.running !== undefined) networks.adopt(container.record)
    bus.emit('container', 'rename', container.id, { ...eventAttributes(container), oldName: `/${oldName}` })
  }

  update(ref: string, change: Partial<HostConfig>): Promise<{ warnings: readonly string[] }> {
    return updateContainer(this.#services, this.#find(ref), change)
  }

  async remove(ref: string, options: Parameters<Containers['remove']>[1]): Promise<void> {
    if (options.link) return removeLink(this.#services, ref)
    await this.#lifecycle.remove(this.#find(ref), ref, options)
  }

  async prune(filters: Filters): Promise<{ deleted: readonly string[]; reclaimed: number }> {
    const deleted: string[] = []
    let reclaimed = 0
    const prunable = pruneFilter(filters)
    for (const container of [...this.#services.containers.values()]) {
      if (container.live.kind !== 'idle' || !prunable(container)) continue
      const size = await treeSize(container.paths.upper)
      try {
        await this.#lifecycle.remove(container, container.id, { force: false, volumes: false })
      } catch (error) {
        // Started in the meantime, or somebody else removes it: not ours any more.
        if (error instanceof DewarError && (error.code === 'conflict' || error.code === 'not-found')) continue
        throw error
      }
      deleted.push(container.id)
      reclaimed += size
    }
    this.#services.bus.emit('container', 'prune', '', { reclaimed: String(reclaimed) })
    return { deleted, reclaimed }
  }

  async wait(ref: string, condition: WaitCondition): Promise<{ result: Promise<WaitResult> }> {
    const { containers } = this.#services
    // Clients that ask after the start (dockerode's run) must have the exit code of what ran and went in between. With
    // dockerd they nearly always come in time, since it is slower.
    const gone = containers.departed(ref)
    if (gone?.record.hostConfig.autoRemove) return { result: Promise.resolve(gone.lastResult()) }
    return { result: containers.find(ref).wait(condition) }
  }

  attach(ref: string, request: AttachRequest): Promise<{ stream: Duplex; tty: boolean }> {
    return attachTo(this.#services, this.#find(ref), request)
  }

  async logs(
    ref: string,
    request: LogsRequest,
    signal: AbortSignal,
  ): Promise<{ stream: Readable; tty: boolean }> {
    const container = this.#find(ref)
    checkReadable(container)
    const tty = container.record.config.tty
    return {
      tty,
      stream: await openedLogs(
        {
          path: container.paths.log,
          tty,
          ended: container.running?.ended,
          attributes: logAttributes(container.record),
        },
        request,
        signal,
      ),
    }
  }

  async resize(ref: string, rows: number, cols: number): Promise<void> {
    const container = this.#find(ref)
    const running = container.running
    if (running === undefined)
      throw new DewarError(
        'conflict',
        `cannot resize a stopped container: container ${container.id} is not running`,
      )
    // Without a terminal there is nothing to resize, which dockerd takes for success.
    if (container.record.config.tty) await running.shim.resize(rows, cols)
    const size = { height: String(rows), width: String(cols) }
    this.#services.bus.emit('container', 'resize', container.id, { ...eventAttributes(container), ...size })
  }

  async top(ref: string, psArgs: string): ReturnType<Containers['top']> {
    const container = this.#find(ref)
    if (container.running === undefined)
      throw new DewarError('conflict', `container ${container.id} is not running`)
    const pids = await pidsIn(this.#services.cgroups, cgroupsPath(this.#services, container.record))
    const table = await processTable(pids, psArgs)
    this.#services.bus.emit('container', 'top', container.id, eventAttributes(container))
    return table
  }

  stats(ref: string): Promise<Stats> {
    return containerStats(this.#services, this.#find(ref))
  }

  async changes(ref: string): Promise<readonly Change[]> {
    return containerChanges(this.#find(ref))
  }

  export(ref: string): Promise<Readable> {
    return this.#files.export(ref)
  }

  archiveGet(ref: string, path: string): Promise<{ stat: PathStat; stream: Readable }> {
    return this.#files.archiveGet(ref, path)
  }

  archiveStat(ref: string, path: string): Promise<PathStat> {
    return this.#files.archiveStat(ref, path)
  }

  archivePut(
    ref: string,
    path: string,
    tar: Readable,
    options: Parameters<Containers['archivePut']>[3],
  ): Promise<void> {
    return this.#files.archivePut(ref, path, tar, options)
  }

  #find(ref: string): Container {
    return this.#services.containers.find(ref)
  }
}
