/** Named local volumes: a folder each under ROOT/volumes/NAME/_data, remembered in ROOT/volumes/NAME.json. */
import { randomBytes } from 'node:crypto'
import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import type { Core } from '../kernel/core-api.ts'
import { Records } from '../store/records.ts'
import type { Container } from './container.ts'
import type { Directory } from './directory.ts'
import { matchesLabel, type EventBus } from './events.ts'
import { booleanFilter, without } from './filter-values.ts'
import { checkVolumeName, type VolumeRequest } from './mount-parts.ts'
import type { VolumeSource } from './mount-points.ts'
import { Mutex } from './mutex.ts'
import { VolumeClaims } from './volume-claims.ts'
import { VolumeFillings } from './volume-fillings.ts'
import { VolumeMounts } from './volume-mounts.ts'
import { makeVolumeFolder, volumeSize } from './volume-folder.ts'
import { checkDriver } from './volume-options.ts'
import { treeSize } from './walk.ts'
import type { Trash } from './trash.ts'
import type { Filters, Volumes, VolumeView } from './types.ts'

const schema = z.object({
  name: z.string(),
  createdAt: z.number(),
  labels: z.record(z.string(), z.string()).nullable(),
  options: z.record(z.string(), z.string()).nullable(),
  anonymous: z.boolean(),
})
type VolumeRecord = z.infer<typeof schema>

const ANONYMOUS_LABEL = 'com.docker.volume.anonymous'

export interface VolumeStoreOptions {
  readonly folder: string
  readonly containers: Directory<Container>
  readonly bus: EventBus
  readonly trash: Trash
  readonly core: Core
}

export class VolumeStore implements Volumes {
  readonly #options: VolumeStoreOptions
  readonly #records: Records<VolumeRecord>
  readonly #volumes = new Map<string, VolumeRecord>()
  /** Creation and removal decide by what is there, so one at a time. */
  readonly #lock = new Mutex()
  readonly #mounts: VolumeMounts
  readonly claims = new VolumeClaims()
  /** They have what `mountFor` mounted, also before they are recorded to run. */
  readonly #holders = new Set<Container>()
  readonly fillings: VolumeFillings

  private constructor(options: VolumeStoreOptions) {
    this.#options = options
    this.#mounts = new VolumeMounts(options.core)
    this.fillings = new VolumeFillings(options.core, (name) => this.mountpoint(name))
    this.#records = new Records(options.folder, {
      parse: (value) => schema.parse(value),
      kind: 'volume',
      durable: true,
    })
  }

  static async open(options: VolumeStoreOptions): Promise<VolumeStore> {
    const store = new VolumeStore(options)
    const { records } = await store.#records.load()
    for (const record of records.values()) store.#volumes.set(record.name, record)
    await store.#repair()
    return store
  }

  /**
   * What a crash left: a volume that lacks its folder, or an empty folder that has no record. A folder with data and
   * no record is somebody's whose record was damaged, and stays.
   */
  async #repair(): Promise<void> {
    const { folder } = this.#options
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (!entry.isDirectory() || this.#volumes.has(entry.name)) continue
      const path = join(folder, entry.name)
      await rmdir(join(path, '_data')).catch(() => undefined)
      await rmdir(path).catch(() => undefined)
    }
    for (const name of this.#volumes.keys()) {
      await makeVolumeFolder(this.mountpoint(name))
    }
  }

  mountpoint(name: string): string {
    return join(this.#options.folder, name, '_data')
  }

  async list(filters: Filters, options: { readonly usage?: boolean } = {}): Promise<VolumeView[]> {
    const found = [...this.#volumes.values()].filter((record) => this.#matches(record, filters))
    if (options.usage !== true) return found.map((record) => this.#view(record))
    return Promise.all(found.map((record) => this.#measured(record)))
  }

  async #measured(record: VolumeRecord): Promise<VolumeView> {
    const folder = this.mountpoint(record.name)
    const size = await (record.options === null ? treeSize(folder) : volumeSize(folder))
    return { ...this.#view(record), usage: { size, refCount: this.#users(record.name).length } }
  }

  async inspect(name: string): Promise<VolumeView> {
    return this.#view(this.#find(name))
  }

  async create(options: Parameters<Volumes['create']>[0]): Promise<VolumeView> {
    checkDriver(options.driver ?? '', options.driverOpts ?? {})
    const anonymous = options.name === undefined || options.name === ''
    const labels = options.labels ?? null
    return this.#view(
      await this.#create(anonymous ? undefined : options.name, labels, options.driverOpts ?? null),
    )
  }

  /** Nobody removes it until the claim is dropped: by then the container is there to name it, or was not made. */
  async ensure(request: VolumeRequest, container: string): ReturnType<VolumeSource['ensure']> {
    checkDriver(request.driver, request.driverOptions)
    const labels = Object.keys(request.labels).length === 0 ? null : request.labels
    const given = Object.keys(request.driverOptions).length === 0 ? null : request.driverOptions
    const record = await this.#create(request.name, labels, given, container)
    const mounted = record.options !== null && Object.keys(record.options).length > 0
    return { name: record.name, mountpoint: this.mountpoint(record.name), driver: 'local', mounted }
  }

  /** Before a container gets its volumes: mounts what their options say, and lets none be half filled. */
  async mountFor(container: Container): Promise<void> {
    this.#holders.add(container)
    for (const { point, mounted } of container.record.mounts) {
      if (point.type !== 'volume' || point.name === undefined) continue
      const options = this.#volumes.get(point.name)?.options
      if (mounted === true && options != null) await this.#mounts.mount(point.name, point.source, options)
      await this.fillings.settle(point.name)
    }
  }

  /** After a container has ended: unmounts what no other one has. */
  async releaseFor(container: Container): Promise<void> {
    this.#holders.delete(container)
    for (const { point, mounted } of container.record.mounts) {
      if (mounted === true) await this.#release(point.name ?? '', container)
    }
  }

  /** After an engine was killed: what is mounted for nobody. */
  async settle(): Promise<void> {
    for (const { name, options } of this.#volumes.values()) if (options !== null) await this.#release(name)
  }

  #release(name: string, except?: Container): Promise<void> {
    const inUse = (user: Container): boolean =>
      user !== except && (user.running !== undefined || user.record.state.status === 'running')
    const isHeld = (): boolean =>
      this.#users(name).some(inUse) || [...this.#holders].some((one) => isUser(one, name))
    return this.#mounts.release(this.mountpoint(name), isHeld)
  }

  #create(
    name: string | undefined,
    labels: VolumeRecord['labels'],
    options: VolumeRecord['options'],
    container?: string,
  ): Promise<VolumeRecord> {
    return this.#lock.run(async () => {
      const record = await this.#found(name, labels, options)
      if (container !== undefined) this.claims.add(record.name, container, name === undefined)
      return record
    })
  }

  /** The lock is held. */
  async #found(
    name: string | undefined,
    labels: VolumeRecord['labels'],
    options: VolumeRecord['options'],
  ): Promise<VolumeRecord> {
    const known = name === undefined ? undefined : this.#volumes.get(checkVolumeName(name))
    if (known !== undefined) return known
    const record: VolumeRecord = {
      name: name ?? randomBytes(32).toString('hex'),
      createdAt: Date.now(),
      labels: name === undefined ? { [ANONYMOUS_LABEL]: '', ...labels } : labels,
      options,
      anonymous: name === undefined,
    }
    // Recorded first: a crash in between leaves a volume whose folder the next engine makes.
    await this.#records.write(record.name, record)
    try {
      await makeVolumeFolder(this.mountpoint(record.name))
    } catch (error) {
      await this.#records.remove(record.name)
      throw error
    }
    this.#volumes.set(record.name, record)
    this.#options.bus.emit('volume', 'create', record.name, { driver: 'local' })
    return record
  }

  async remove(name: string, force: boolean): Promise<void> {
    await this.#lock.run(async () => {
      if (!this.#volumes.has(name) && force) return
      this.#find(name)
      const users = this.#userIds(name)
      if (users.length > 0)
        throw new DewarError('conflict', `remove ${name}: volume is in use - [${users.join(', ')}]`)
      await this.#delete(name)
    })
  }

  /** Decided with the lock held: who waited for it before may have claimed the volume. Answers whether it went. */
  removeUnused(name: string): Promise<boolean> {
    return this.#lock.run(async () => {
      if (!this.#volumes.has(name) || this.#userIds(name).length > 0) return false
      await this.#delete(name)
      return true
    })
  }

  async prune(filters: Filters): Promise<{ deleted: readonly string[]; reclaimed: number }> {
    const all = booleanFilter(filters, 'all') ?? false
    const deleted: string[] = []
    let reclaimed = 0
    for (const record of [...this.#volumes.values()]) {
      if ((!record.anonymous && !all) || !this.#matches(record, without(filters, 'all'))) continue
      if (this.#userIds(record.name).length > 0) continue
      const size = await volumeSize(this.mountpoint(record.name))
      if (!(await this.removeUnused(record.name))) continue
      reclaimed += Math.max(0, size)
      deleted.push(record.name)
    }
    this.#options.bus.emit('volume', 'prune', '', { reclaimed: String(reclaimed) })
    return { deleted, reclaimed }
  }

  async #delete(name: string): Promise<void> {
    await this.#mounts.release(this.mountpoint(name), () => false)
    // The record goes second: a crash in between leaves an empty volume, not a folder nobody knows. To delete what was in it
    // may take long, and a crash meanwhile is to leave no volume.
    const deletion = this.#options.trash.take(join(this.#options.folder, name))
    await this.#records.remove(name)
    this.#volumes.delete(name)
    await deletion
    this.#options.bus.emit('volume', 'destroy', name, { driver: 'local' })
  }

  #userIds(name: string): string[] {
    const users = this.#users(name).map(({ id }) => id)
    return [...new Set([...users, ...this.claims.of(name)])]
  }

  #users(name: string): Container[] {
    return [...this.#options.containers.values()].filter((container) => isUser(container, name))
  }

  #find(name: string): VolumeRecord {
    const record = this.#volumes.get(name)
    if (record === undefined) throw new DewarError('not-found', `get ${name}: no such volume`)
    return record
  }

  #matches(record: VolumeRecord, filters: Filters): boolean {
    const dangling = booleanFilter(filters, 'dangling')
    const test: Record<string, (value: string) => boolean> = {
      name: (value) => record.name.includes(value),
      driver: (value) => value === 'local',
      label: (value) => matchesLabel(record.labels ?? {}, value),
      'label!': (value) => !matchesLabel(record.labels ?? {}, value),
      dangling: () => dangling === (this.#users(record.name).length === 0),
    }
    return [...filters].every(([key, values]) => {
      const check = test[key]
      if (check === undefined) throw new DewarError('invalid-argument', `invalid filter '${key}'`)
      return key === 'label' || key === 'label!' ? values.every(check) : values.some(check)
    })
  }

  #view(record: VolumeRecord): VolumeView {
    const { name, createdAt, labels, options } = record
    return {
      name,
      driver: 'local',
      mountpoint: this.mountpoint(name),
      createdAt,
      labels,
      options,
      scope: 'local',
    }
  }
}

const isUser = ({ record }: Container, volume: string): boolean =>
  record.mounts.some(({ point }) => point.type === 'volume' && point.name === volume)
