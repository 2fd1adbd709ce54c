/**
 * A place to work on an image's files without a process: the image under an empty writable layer, in the same
 * namespaces and under the same filter as a container's files are for `docker cp`. Not a container: no client sees it.
 */
import { PassThrough, Readable } from 'node:stream'
import type { Digest } from '../../store/digest.ts'
import { decodeOps, textOf, type OpsEvent } from '../../store/ops.ts'
import { packFolder, unpackError, unpackOps, type Sandbox } from '../../store/unpack.ts'
import { completeHostConfig } from '../config.ts'
import type { Container } from '../container.ts'
import { packInto } from '../pack-into.ts'
import { makeLayer } from '../container-folder.ts'
import { draftContainer } from '../create.ts'
import { EMPTY_CONFIG } from '../images-changes.ts'
import { unpackCause } from '../full-overlay.ts'
import { bundleForFiles } from '../launch.ts'
import { newId } from '../names.ts'
import { levelOf, type Services } from '../services.ts'
import type { IdRange } from '../spec-namespaces.ts'
import { encodeEvents } from './events.ts'
import type { Tree } from './tree.ts'

export interface Workspace extends Tree, AsyncDisposable {
  /** What was written. */
  readonly upper: string
  /** Whose ids its files have; null: the host's own. */
  readonly range: IdRange | null
  /** The image's layers, topmost first. */
  readonly lower: readonly string[]
  apply(events: AsyncIterable<OpsEvent>): Promise<void>
}

/** `image` undefined: nothing is there yet (`FROM scratch`). */
export async function openWorkspace(
  services: Services,
  sandbox: Sandbox,
  image: Digest | undefined,
): Promise<Workspace> {
  const id = newId()
  try {
    const container = await draft(services, id, image)
    makeLayer(container.paths, container.record.range)
    return container.record.lower.length === 0
      ? bareWorkspace(services, sandbox, container)
      : layeredWorkspace(services, container)
  } catch (error) {
    services.ranges.forget(id)
    throw error
  }
}

async function draft(services: Services, id: string, image: Digest | undefined): Promise<Container> {
  const given = image === undefined ? undefined : services.image(image, undefined)
  const { settings } = services
  const host = completeHostConfig(
    {
      networkMode: 'none',
      logConfig: { type: 'none', config: {} },
      ...(given?.lower.length ? {} : { usernsMode: 'host' }),
    },
    { runtime: settings.defaultLevel, logConfig: settings.log },
  )
  const config = { ...EMPTY_CONFIG, env: given?.config.env ?? [] }
  return draftContainer(services, {
    id,
    name: `build-${id.slice(0, 12)}`,
    request: { config: { image: image ?? 'scratch', cmd: ['/'] }, hostConfig: host, endpoints: {} },
    // Without volumes: what is written below one belongs to the image.
    image: { id: image ?? '', config, lower: given?.lower ?? [], os: given?.os ?? 'linux' },
    host,
    // A copy of all of a stage has no /.dockerenv.
    plain: true,
  })
}

async function discard(services: Services, container: Container): Promise<void> {
  const { range } = container.record
  // Nobody waits for the deletion.
  void services.trash.take(container.paths.folder)
  if (range !== null) services.ranges.release(container.id, range)
}

function layeredWorkspace(services: Services, container: Container): Workspace {
  const level = levelOf(services, container)
  const bundle = bundleForFiles(services, container)
  return {
    upper: container.paths.upper,
    range: container.record.range,
    lower: container.record.lower,
    folders: container.record.lower,
    hidden: new Set(),
    async *pack(path) {
      const stream = new PassThrough({ highWaterMark: 512 * 1024 })
      const abort = new AbortController()
      void packInto(
        { services, level, bundle, running: undefined, signal: abort.signal, bare: true },
        textOf(path),
        stream,
      )
      try {
        yield* decodeOps(stream)
      } finally {
        abort.abort()
        stream.destroy()
      }
    },
    async apply(events) {
      const failure: { cause?: unknown } = {}
      const ops = noting(encodeEvents(events), failure)
      const input = Readable.from(ops, { objectMode: false, highWaterMark: 512 * 1024 })
      try {
        await level.files(services.core, bundle, undefined, [{ actor: 'guest', op: 'unpack' }], {
          input,
          bare: true,
        })
      } catch (error) {
        throw unpackError(failure.cause ?? (await unpackCause(error, container.paths.upper)))
      }
    },
    [Symbol.asyncDispose]: () => discard(services, container),
  }
}

/** Nothing lies below, so the folder itself is the tree. */
function bareWorkspace(services: Services, sandbox: Sandbox, container: Container): Workspace {
  const { upper } = container.paths
  return {
    ...folderTree(sandbox, upper),
    upper,
    range: null,
    lower: [],
    apply: (events) => unpackOps(sandbox, upper, encodeEvents(events)),
    [Symbol.asyncDispose]: () => discard(services, container),
  }
}

/** A folder on the host as a tree: the build context. Nobody but this engine writes there. */
export function folderTree(sandbox: Sandbox, folder: string, hidden: ReadonlySet<string> = new Set()): Tree {
  return { folders: [folder], hidden, pack: (path) => packFolder(sandbox, folder, path) }
}

/** A tree without anything. */
export function emptyTree(): Tree {
  return {
    folders: [],
    hidden: new Set(),
    async *pack() {},
  }
}

async function* noting<T>(source: AsyncIterable<T>, failure: { cause?: unknown }): AsyncGenerator<T> {
  try {
    yield* source
  } catch (error) {
    failure.cause = error
    throw error
  }
}
