/**
 * Starts that are begun before anybody asks for them. Most of what the kernel makes for a container is the same for each
 * that has the same namespaces and limits: groups, namespaces, /proc, /sys and /dev with what is hidden in them. That part
 * of a plan (up to its gate) is carried out while nobody waits: for a container that was created, until it is started;
 * and when one has been started for a next one like it, whose id and ids it has in advance. A start goes on from there
 * when its own plan begins with the very same bytes. NOT begun: what touches files of images, networks or other containers.
 */
import type { Begun } from '../kernel/core-api.ts'
import type { Bundle, Level } from '../isolation/level.ts'
import { completeHostConfig } from './config.ts'
import type { Container, Running } from './container.ts'
import { bundleForFiles, cgroupsPath as groupsPath } from './launch.ts'
import { newId } from './names.ts'
import { levelOf, type Services } from './services.ts'
import { idMappings, type IdRange } from './spec-namespaces.ts'
import type { HostConfig } from './types.ts'

/** ms for which something waits, in two small processes, without anybody asking for it. */
const PATIENCE = 10_000
/** ms after a start that nobody has ended yet. */
const LATER = 20
/** So many containers, created and not started yet, have theirs begun: `compose up` creates all before it starts them. */
const MOST = 16

interface Entry {
  readonly id: string
  /** Taken in the name of a spare. */
  readonly range: IdRange | undefined
  readonly begun: Promise<Begun | undefined>
  readonly timer: NodeJS.Timeout
}

type Spare = Entry & { readonly kind: string }

export class Ready {
  readonly #of: () => Services
  readonly #entries = new Map<string, Entry>()
  /** Those on their way out: nobody has their groups or ids before they are gone. */
  readonly #leaving = new Map<string, Promise<void>>()
  #spare: Spare | undefined
  #closed = false

  /** `of`: asked later, since it is among these services itself. */
  constructor(of: () => Services) {
    this.#of = of
  }

  get #services(): Services {
    return this.#of()
  }

  /** The id of the spare, when a container with this configuration may have it. */
  take(given: Partial<HostConfig>): string | undefined {
    const spare = this.#spare
    if (spare === undefined || spare.kind !== this.#kindOf(given)) return undefined
    this.#spare = undefined
    this.#entries.set(spare.id, spare)
    return spare.id
  }

  /** A container was created: its start is begun, unless it was a spare's. In a later turn: the reply goes first. */
  expect(container: Container): void {
    if (this.#entries.has(container.id) || kindOf(container.record.hostConfig) === undefined) return
    setImmediate(() => {
      const waits = container.live.kind === 'idle' && container.record.state.status === 'created'
      if (this.#closed || !waits || this.#entries.size >= MOST || this.#entries.has(container.id)) return
      this.#entries.set(container.id, this.#beginFor(container))
    })
  }

  /** The ids of a spare that was taken. */
  rangeOf(id: string): IdRange | undefined {
    return this.#entries.get(id)?.range
  }

  /** What was begun for a container, once: it is the start's from now on. */
  async claim(id: string): Promise<Begun | undefined> {
    await this.#leaving.get(id)
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    clearTimeout(entry.timer)
    this.#entries.delete(id)
    return entry.begun
  }

  /** A container was started: more like it are likely. Not at once, when it needs the processors itself. */
  another(like: Container): void {
    const kind = kindOf(like.record.hostConfig)
    const running = like.running
    if (kind === undefined || running === undefined || this.#spare?.kind === kind) return
    const begin = (): void => {
      // The last range is for who asks.
      if (this.#closed || this.#spare?.kind === kind || this.#services.ranges.free < 2) return
      this.#dropSpare()
      this.#spare = { kind, ...this.#beginLike(like, running) }
    }
    setTimeout(begin, LATER).unref()
  }

  /** Resolves when nothing of it is left. */
  async drop(id: string): Promise<void> {
    const entry = this.#entries.get(id)
    this.#entries.delete(id)
    if (entry !== undefined) void this.#leave(entry)
    await this.#leaving.get(id)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#dropSpare()
    for (const entry of this.#entries.values()) void this.#leave(entry)
    this.#entries.clear()
    await Promise.all(this.#leaving.values())
  }

  #dropSpare(): void {
    const spare = this.#spare
    this.#spare = undefined
    if (spare === undefined) return
    const { ranges } = this.#services
    void this.#leave(spare).then(() => spare.range && ranges.release(spare.id, spare.range))
  }

  #leave({ id, begun, timer }: Entry): Promise<void> {
    clearTimeout(timer)
    const left = begun.then(async (it) => {
      it?.drop()
      await it?.gone
      this.#leaving.delete(id)
    })
    this.#leaving.set(id, left)
    return left
  }

  #beginFor(container: Container): Entry {
    const level = levelOf(this.#services, container)
    return this.#begin(container.id, level, () => bundleForFiles(this.#services, container))
  }

  #begin(id: string, level: Level, bundle: () => Bundle): Entry {
    // Whatever is wrong is told by the start, which does it all again.
    const begun = Promise.resolve()
      .then(() => level.begin(this.#services.core, bundle()))
      .catch(() => undefined)
    const timer = setTimeout(
      () => (this.#spare?.id === id ? this.#dropSpare() : void this.drop(id)),
      PATIENCE,
    )
    return { id, range: undefined, begun, timer: timer.unref() }
  }

  /** In the name of a container that is not there yet: what one like this would be to the first part of a plan. */
  #beginLike({ record }: Container, { bundle, level }: Running): Entry {
    const id = newId()
    const { ranges } = this.#services
    const range = record.range === null ? undefined : ranges.take(id)
    const maps = idMappings(range)
    const { spec } = bundle
    const cgroupsPath = groupsPath(this.#services, { ...record, id })
    const linux = { ...spec.linux, cgroupsPath, uidMappings: maps, gidMappings: maps }
    const entry = this.#begin(id, level, () => ({ ...bundle, id, spec: { ...spec, linux } }))
    return { ...entry, range }
  }

  #kindOf(given: Partial<HostConfig>): string | undefined {
    const { defaultLevel, log } = this.#services.settings
    return kindOf(completeHostConfig(given, { runtime: defaultLevel, logConfig: log }))
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
  'logConfig',
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
function kindOf(host: HostConfig): string | undefined {
  const joins = [host.networkMode, host.pidMode, host.ipcMode].some((mode) => mode.startsWith('container:'))
  if (joins || host.devices !== null || host.blkioWeightDevice !== null || host.cgroupParent !== '')
    return undefined
  return JSON.stringify([
    host.networkMode === 'host',
    Object.entries(host).filter(([key]) => !IRRELEVANT.has(key)),
  ])
}
