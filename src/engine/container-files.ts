/** `cp` and `export`: files in and out of a container. Every path is resolved inside the container's root by the kernel. */
import { existsSync } from 'node:fs'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { DewarError } from '../base/errors.ts'
import type { Bundle } from '../isolation/level.ts'
import type { OciMount } from '../kernel/oci.ts'
import { PlanFailed } from '../kernel/plan-failed.ts'
import { decompress } from '../store/decompress.ts'
import { bytesOf, decodeOps, textOf, type Entry, type OpsEvent } from '../store/ops.ts'
import { opsToTar } from '../store/ops-to-tar.ts'
import { packStream } from '../store/pack-stream.ts'
import { tarToOps } from '../store/tar-to-ops.ts'
import { unpackError } from '../store/unpack.ts'
import { foreignSources, requireAnswers } from './answering.ts'
import type { Container } from './container.ts'
import { unpackCause } from './full-overlay.ts'
import { bundleAtRest, makeSources } from './launch.ts'
import { meanwhile, reasonFor } from './meanwhile.ts'
import { destroy, packInto, type FilesSource } from './pack-into.ts'
import { eventAttributes, levelOf, type Services } from './services.ts'
import type { Containers, PathStat } from './types.ts'

type PutOptions = Parameters<Containers['archivePut']>[3]
type Archive = Pick<Containers, 'archiveGet' | 'archiveStat' | 'archivePut' | 'export'>

export class ContainerFiles implements Archive {
  readonly #services: Services

  constructor(services: Services) {
    this.#services = services
  }

  async archiveStat(ref: string, path: string): Promise<PathStat> {
    const container = this.#services.containers.find(ref)
    // What cannot be read in a folder (a file of /sys that is bound there) is no matter of the folder's own.
    const events = this.#events(container, path, { alone: true })
    try {
      return statOf(path, await firstEntry(events))
    } catch (error) {
      throw lookupError(error, ref, path)
    } finally {
      await events.return(undefined)
    }
  }

  async archiveGet(ref: string, path: string): Promise<{ stat: PathStat; stream: Readable }> {
    const container = this.#services.containers.find(ref)
    const events = this.#events(container, path)
    try {
      const first = await firstEntry(events)
      const stat = statOf(path, first)
      const tar = opsToTar(startingWith(first, events), { as: 'tree', root: bytesOf(archiveName(path)) })
      this.#services.bus.emit('container', 'archive-path', container.id, eventAttributes(container))
      return { stat, stream: Readable.from(tar, { objectMode: false, highWaterMark: 512 * 1024 }) }
    } catch (error) {
      await events.return(undefined)
      throw lookupError(error, ref, path)
    }
  }

  async archivePut(ref: string, path: string, tar: Readable, options: PutOptions): Promise<void> {
    const container = this.#services.containers.find(ref)
    refuseReadOnly(container, path)
    const stat = await this.archiveStat(ref, `${path}/.`)
    if (Math.floor(stat.mode / GO_DIR) % 2 === 0)
      throw new DewarError('invalid-argument', 'extraction point is not a directory')
    await this.#inTurn(container, () =>
      meanwhile(this.#services, container, () => this.#unpack(container, path, tar, options)),
    )
    this.#services.bus.emit('container', 'extract-to-dir', container.id, eventAttributes(container))
  }

  async #unpack(container: Container, path: string, tar: Readable, options: PutOptions): Promise<void> {
    const failure: { cause: unknown } = { cause: undefined }
    const { level, bundle, running } = this.#source(container, path)
    const owner = options.copyUidGid ? await this.#owner(container) : undefined
    const ops = tarToOps(decompress(tar), {
      layer: false,
      keepType: options.noOverwriteDirNonDir,
      below: bytesOf(posix.join('/', path).replace(/^\/+|\/+$/g, '')),
      ...(owner === undefined ? {} : { owner }),
    })
    const input = Readable.from(noting(ops, failure), { objectMode: false, highWaterMark: 512 * 1024 })
    const steps = [{ actor: 'guest', op: 'unpack' }] as const
    try {
      await level.files(this.#services.core, bundle, running, steps, { input })
    } catch (error) {
      const cause = running === undefined ? await unpackCause(error, container.paths.upper) : error
      throw unpackError(failure.cause ?? cause)
    }
  }

  async export(ref: string): Promise<Readable> {
    const container = this.#services.containers.find(ref)
    const tar = opsToTar(this.#events(container, '/', { bare: true }), { as: 'tree', root: '' })
    this.#services.bus.emit('container', 'export', container.id, eventAttributes(container))
    return Readable.from(tar, { objectMode: false, highWaterMark: 512 * 1024 })
  }

  /**
   * `work`, alone with the layers of a container that does not run. One that the shim of another run has not let go of is
   * not mounted again (EBUSY with overlay's index=on).
   */
  async #inTurn<T>(container: Container, work: () => Promise<T>): Promise<T> {
    if (container.running !== undefined) return work()
    await requireAnswers(foreignSources(container.record.mounts))
    return container.layers.run(async () => {
      await container.settled()
      if (container.running === undefined) await this.#services.ready.drop(container.id)
      return work()
    })
  }

  #owner(container: Container): Promise<{ readonly uid: number; readonly gid: number }> {
    const { level, bundle } = this.#source(container, '/')
    return this.#services.users.resolve(container, container.record.config.user, [], level, () => bundle)
  }

  async *#events(
    container: Container,
    path: string,
    how: Pick<FilesSource, 'bare' | 'alone'> = {},
  ): AsyncGenerator<OpsEvent> {
    const abort = new AbortController()
    const reason = reasonFor(this.#services, container)
    const stream = packStream()
    this.#inTurn(container, async () => {
      const source = { ...this.#source(container, path), ...how, signal: abort.signal }
      await packInto(source, absolute(path), stream)
    }).catch((error: unknown) => destroy(stream, error))
    try {
      yield* decodeOps(stream)
    } catch (error) {
      throw reason(error)
    } finally {
      abort.abort()
      stream.destroy()
    }
  }

  /** `path`: what is to be read or written. */
  #source(container: Container, path: string): Omit<FilesSource, 'signal'> {
    const running = container.running
    return {
      services: this.#services,
      level: levelOf(this.#services, container),
      bundle: running?.bundle ?? filesAtRest(this.#services, container, path),
      running: running?.shim,
    }
  }
}

/**
 * Of a container that does not run: what a start would make on the host is made, as by dockerd. What is gone since and
 * would keep it from starting does not keep anybody from its other files.
 */
function filesAtRest(services: Services, container: Container, path: string): Bundle {
  makeSources(container.record)
  const bundle = bundleAtRest(services, container)
  const isGone = ({ type, source }: OciMount) => type === 'bind' && !existsSync(source)
  const gone = bundle.spec.mounts.find((mount) => isGone(mount) && isWithin(path, mount.destination))
  if (gone !== undefined)
    throw new DewarError(
      'not-found',
      `Copying ${path} failed: ${gone.source}, which is mounted there, does not exist any more`,
    )
  const mounts = bundle.spec.mounts.filter((mount) => !isGone(mount))
  return { ...bundle, spec: { ...bundle.spec, mounts } }
}

const isWithin = (path: string, folder: string): boolean =>
  `${posix.join('/', path)}/`.startsWith(`${folder.replace(/\/$/, '')}/`)

/** By the mount the path lies in, as far as its words tell: a symlink into one is judged by the kernel. */
function refuseReadOnly({ record }: Container, path: string): void {
  const [mount] = record.mounts
    .filter(({ destination }) => isWithin(path, destination))
    .sort((a, b) => b.destination.length - a.destination.length)
  if (mount?.rw === false) throw new DewarError('forbidden', 'mounted volume is marked read-only')
  if (mount === undefined && record.hostConfig.readonlyRootfs)
    throw new DewarError('forbidden', 'container rootfs is marked read-only')
}

/** Relative paths are meant from the root. `x/` and `x/.` keep their meaning: what a symlink points to. */
function absolute(path: string): string {
  if (path.includes('\0')) throw new DewarError('invalid-argument', `invalid path ${JSON.stringify(path)}`)
  const clean = posix.join('/', path)
  if (clean === '/') return clean
  return /\/\.?$/.test(path) ? `${clean.replace(/\/+$/, '')}/.` : clean
}

/** The name in the archive: that of the last component, "." for `x/.`, as Docker's clients expect. */
function archiveName(path: string): string {
  if (/(^|\/)\.$/.test(path)) return '.'
  const name = posix.basename(posix.join('/', path))
  return name === '' ? '/' : name
}

async function firstEntry(events: AsyncGenerator<OpsEvent>): Promise<Entry> {
  const first = await events.next()
  if (first.done !== true && first.value.type === 'entry') return first.value.entry
  throw new DewarError('system', 'Reading files of the container failed: nothing came')
}

async function* startingWith(entry: Entry, rest: AsyncGenerator<OpsEvent>): AsyncGenerator<OpsEvent> {
  yield { type: 'entry', entry }
  yield* rest
}

async function* noting<T>(source: AsyncIterable<T>, failure: { cause: unknown }): AsyncGenerator<T> {
  try {
    yield* source
  } catch (error) {
    failure.cause = error
    throw error
  }
}

/** Names the container as the client did. */
function lookupError(error: unknown, ref: string, path: string): unknown {
  // Of any other step it is not the path that is missing.
  if (!(error instanceof PlanFailed) || error.op !== 'pack') return error
  if (error.errno !== 'ENOENT' && error.errno !== 'ENOTDIR') return error
  return new DewarError('not-found', `Could not find the file ${path} in container ${ref}`, {
    cause: error,
  })
}

// Go's os.FileMode, which the API's X-Docker-Container-Path-Stat carries.
const GO_DIR = 2 ** 31
const GO_KIND: Readonly<Record<string, number>> = {
  dir: GO_DIR,
  symlink: 2 ** 27,
  block: 2 ** 26,
  char: 2 ** 26 + 2 ** 21,
  fifo: 2 ** 25,
}

function statOf(path: string, entry: Entry): PathStat {
  const special =
    (entry.mode & 0o4000 ? 2 ** 23 : 0) +
    (entry.mode & 0o2000 ? 2 ** 22 : 0) +
    (entry.mode & 0o1000 ? 2 ** 20 : 0)
  return {
    name: archiveName(path),
    size: entry.kind === 'dir' ? 4096 : (entry.size ?? 0),
    mode: (GO_KIND[entry.kind] ?? 0) + special + (entry.mode & 0o777),
    mtime: entry.mtime.sec * 1000 + Math.floor(entry.mtime.ns / 1e6),
    linkTarget: entry.kind === 'symlink' ? linkTarget(path, textOf(entry.link ?? '')) : '',
  }
}

/** As an absolute path inside the container, as dockerd gives it. */
function linkTarget(path: string, link: string): string {
  return posix.resolve(posix.dirname(posix.join('/', path)), link)
}
