/**
 * Starts that are begun before anybody asks for them. Most of what the kernel makes for a container is the same for each
 * that has the same namespaces and limits: groups, namespaces, /proc, /sys and /dev with what is hidden in them. That part
 * of a plan (up to its gate) is carried out while nobody waits: for a container that was created, until it is started;
 * and when one has been started for a next one like it, whose id and ids it has in advance. A start goes on from there
 * when its own plan begins with the very same bytes. A next one's folders are there, too, with what will be written in
 * them, and its root file system. NOT begun: what touches networks, other containers, or what a user mounts.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../base/errors.ts'
import type { Begun } from '../kernel/core-api.ts'
import type { Bundle, Level } from '../isolation/level.ts'
import { completeHostConfig } from './config.ts'
import type { Container, Running } from './container.ts'
import { containerPaths, furnish, removeRunFolder, type ContainerPaths } from './container-folder.ts'
import { bundleForFiles, cgroupsPath as groupsPath } from './launch.ts'
import { newId } from './names.ts'
import { runFolder } from './options.ts'
import { levelOf, type Services } from './services.ts'
import { idMappings, type IdRange } from './spec-namespaces.ts'
import type { HostConfig } from './types.ts'

/** ms for which something waits, in two small processes, without anybody asking for it. */
const PATIENCE = 10_000
/** ms after a start that nobody has ended yet. */
const LATER = 20
/** So many containers, created and not started yet, have theirs begun: `compose up` creates all before it starts them. */
const MOST = 16

interface Entry extends Spare {
  readonly begun: Promise<Begun | undefined>
  readonly timer: NodeJS.Timeout
}

type Next = Entry & { readonly kind: string }

/** What a container is made of that takes the place of a next one: its folders are there, and furnished. */
export interface Spare {
  readonly id: string
  /** Undefined: with the host's ids. */
  readonly range: IdRange | undefined
}

export class Ready {
  readonly #of: () => Services
  readonly #entries = new Map<string, Entry>()
  /** Created, and begun in the next turn unless somebody wants their files first. */
  readonly #expected = new Set<string>()
  /** Those on their way out: nobody has their groups, ids or layers before they are gone. */
  readonly #leaving = new Map<string, Promise<void>>()
  #spare: Next | undefined
  #closed = false

  /** `of`: asked later, since it is among these services itself. */
  constructor(of: () => Services) {
    this.#of = of
  }

  get #services(): Services {
    return this.#of()
  }

  /** The spare, when a container that is asked for may have it. */
  take(imageId: string, given: Partial<HostConfig>): Spare | undefined {
    const spare = this.#spare
    if (spare === undefined || spare.kind !== this.#kindOf(imageId, given)) return undefined
    this.#spare = undefined
    this.#entries.set(spare.id, spare)
    // It waits as long as any other from now on.
    spare.timer.refresh()
    return spare
  }

  /** A container was created: its start is begun, unless it was a spare's. In a later turn: the reply goes first. */
  expect(container: Container): void {
    const { id, record } = container
    if (this.#entries.has(id) || kindOf(record.imageId, record.hostConfig) === undefined) return
    this.#expected.add(id)
    setImmediate(() => {
      if (!this.#expected.delete(id) || this.#closed || this.#entries.size >= MOST) return
      this.#entries.set(id, this.#beginFor(container))
    })
  }

  /** What was begun for a container, once: it is the start's from now on. */
  async claim(id: string): Promise<Begun | undefined> {
    this.#expected.delete(id)
    await this.#leaving.get(id)
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    clearTimeout(entry.timer)
    this.#entries.delete(id)
    return entry.begun
  }

  /** A container was started: more like it are likely. Not at once, when it needs the processors itself. */
  another(like: Container): void {
    const kind = kindOf(like.record.imageId, like.record.hostConfig)
    const running = like.running
    if (kind === undefined || running === undefined || this.#spare?.kind === kind) return
    const begin = (): void => {
      // The last range is for who asks.
      if (this.#closed || this.#spare?.kind === kind || this.#services.ranges.free < 2) return
      this.#dropSpare()
      const entry = this.#beginLike(like, running)
      this.#spare = entry && { kind, ...entry }
    }
    setTimeout(begin, LATER).unref()
  }

  /** Resolves when nothing of it is left. An overlay must be nobody's before its layers are another's. */
  async drop(id: string): Promise<void> {
    this.#expected.delete(id)
    const entry = this.#entries.get(id)
    this.#entries.delete(id)
    if (entry !== undefined) void this.#leave(entry)
    await this.#leaving.get(id)
  }

  /** Resolves when nobody has the layers of an image but containers. */
  async letGo(): Promise<void> {
    this.#dropSpare()
    await Promise.all(this.#leaving.values())
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#dropSpare()
    for (const entry of this.#entries.values()) void this.#leave(entry)
    this.#entries.clear()
    await Promise.all(this.#leaving.values())
    // Made for a start that has not come.
    const { containers, settings } = this.#services
    for (const { id, record } of containers.values())
      if (record.state.status === 'created') removeRunFolder(runFolder(settings, id))
  }

  #dropSpare(): void {
    const spare = this.#spare
    this.#spare = undefined
    if (spare === undefined) return
    void this.#leave(spare, () => this.#clear(spare))
  }

  #leave({ id, begun, timer }: Entry, then?: () => void): Promise<void> {
    clearTimeout(timer)
    const left = begun.then(async (it) => {
      it?.drop()
      await it?.gone
      then?.()
      this.#leaving.delete(id)
    })
    this.#leaving.set(id, left)
    return left
  }

  /** Of a next one that nobody wanted. What cannot be removed now goes when the next engine opens. */
  #clear({ id, range }: Spare): void {
    const { ranges, settings, trash, warn } = this.#services
    try {
      removeRunFolder(runFolder(settings, id))
      void trash.take(join(settings.folders.containers, id))
    } catch (error) {
      warn(messageOf(error))
    }
    if (range !== undefined) ranges.release(id, range)
  }

  #beginFor(container: Container): Entry {
    const level = levelOf(this.#services, container)
    const bundle = (): Bundle => bundleForFiles(this.#services, container)
    return this.#begin(container.id, level, async () => {
      // Who its users are is read from its layers, which would be no more to be had.
      await this.#services.users.learn(container, level, bundle)
      const { runDir } = bundle().shim
      mkdirSync(runDir, { recursive: true, mode: 0o700 })
      return bundle()
    })
  }

  #begin(id: string, level: Level, bundle: () => Promise<Bundle>): Entry {
    // Whatever is wrong is told by the start, which does it all again.
    const begun = bundle()
      .then((made) => level.begin(this.#services.core, made))
      .catch(() => undefined)
    const timer = setTimeout(
      () => (this.#spare?.id === id ? this.#dropSpare() : void this.drop(id)),
      PATIENCE,
    )
    return { id, range: undefined, begun, timer: timer.unref() }
  }

  /** In the name of a container that is not there yet: what one like this would be to the first part of a plan. */
  #beginLike({ record, paths: ofLike }: Container, { bundle, level }: Running): Entry | undefined {
    const id = newId()
    const { ranges } = this.#services
    const range = record.range === null ? undefined : ranges.take(id)
    const paths = this.#furnished({ id, range }, bundle.shim.log !== undefined)
    if (paths === undefined) return undefined
    const maps = idMappings(range)
    const { spec } = bundle
    const rootfs = { lower: record.lower, upper: paths.upper, work: paths.work }
    const shim = { ...bundle.shim, runDir: runFolder(this.#services.settings, id) }
    const cgroupsPath = groupsPath(this.#services, { ...record, id })
    const linux = { ...spec.linux, cgroupsPath, uidMappings: maps, gidMappings: maps }
    // Its own files are where this one's will be; what else is mounted is likely to be the same.
    const mounts = spec.mounts.map((mount) => ({
      ...mount,
      source: mount.source.startsWith(`${ofLike.folder}/`)
        ? paths.folder + mount.source.slice(ofLike.folder.length)
        : mount.source,
    }))
    const like = { ...bundle, id, rootfs, shim, spec: { ...spec, mounts, linux } }
    const entry = this.#begin(id, level, () => Promise.resolve(like))
    return { ...entry, range }
  }

  /** A full disk is the next create's to tell. */
  #furnished(spare: Spare, logs: boolean): ContainerPaths | undefined {
    const { settings } = this.#services
    const paths = containerPaths(join(settings.folders.containers, spare.id))
    try {
      furnish(paths, spare.range ?? null, runFolder(settings, spare.id), logs)
      return paths
    } catch {
      this.#clear(spare)
      return undefined
    }
  }

  #kindOf(imageId: string, given: Partial<HostConfig>): string | undefined {
    const { defaultLevel, log } = this.#services.settings
    return kindOf(imageId, completeHostConfig(given, { runtime: defaultLevel, logConfig: log }))
  }
}

/** What the first part of a plan does not depend on. If it did, it would not fit, which costs the start a moment. */
const IRRELEVANT: ReadonlySet<string> = new Set<keyof HostConfig>([
  'annotations',
  'autoRemove',
  'binds',
  'capAdd',
  'capDrop',
  'consoleSize',
  'containerIDFile',
  'dns',
  'dnsOptions',
  'dnsSearch',
  'extraHosts',
  'groupAdd',
  'init',
  'links',
  'mounts',
  'networkMode',
  'oomScoreAdj',
  'portBindings',
  'publishAllPorts',
  'readonlyRootfs',
  'restartPolicy',
  'ulimits',
  'volumeDriver',
  'volumesFrom',
])

/**
 * undefined: what depends on other containers or on devices, which are looked up when it starts; and in a group of a
 * user's, who may want to take that away when the containers in it have ended.
 */
function kindOf(imageId: string, host: HostConfig): string | undefined {
  const joins = [host.networkMode, host.pidMode, host.ipcMode].some((mode) => mode.startsWith('container:'))
  if (joins || host.devices !== null || host.blkioWeightDevice !== null || host.cgroupParent !== '')
    return undefined
  return JSON.stringify([
    imageId,
    host.networkMode === 'host',
    Object.entries(host).filter(([key]) => !IRRELEVANT.has(key)),
  ])
}
