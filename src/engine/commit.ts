/** `commit`: a container's writable layer as a new image on top of its own. */
import { DewarError } from '../base/errors.ts'
import { unpackFilter as storeFilter } from '../store/unpack-filter.ts'
import type { OpsEvent } from '../store/ops.ts'
import { opsToTar } from '../store/ops-to-tar.ts'
import { familiarReference, parseReference } from '../store/reference.ts'
import { packFolder } from '../store/unpack.ts'
import { isSystemDebris } from './changes.ts'
import type { Container } from './container.ts'
import type { ImageService } from './images.ts'
import { insideEntry } from './inside-ids.ts'
import type { Lifecycle } from './lifecycle.ts'
import { meanwhile } from './meanwhile.ts'
import { eventAttributes, type Services } from './services.ts'
import { unlessEnded } from './stopping.ts'
import type { ContainerConfig, ImageConfig, Images } from './types.ts'

type CommitOptions = Parameters<Images['commit']>[1]

export interface Committer {
  readonly services: Services
  readonly lifecycle: Lifecycle
  readonly images: ImageService
}

export async function commitContainer(
  committer: Committer,
  ref: string,
  options: CommitOptions,
): Promise<string> {
  const { services, lifecycle } = committer
  const container = services.containers.find(ref)
  if (container.live.kind === 'removing') {
    throw new DewarError('conflict', `You cannot commit container ${container.id} which is being removed`)
  }
  const pauses = options.pause && container.running !== undefined && !container.paused
  const paused = pauses && (await frozen(lifecycle, container))
  try {
    const id = await meanwhile(services, container, () => commitLayer(committer, container, options))
    const attributes = {
      ...eventAttributes(container),
      comment: options.comment,
      imageID: id,
      imageRef: options.reference ? familiarReference(parseReference(options.reference)) : '',
    }
    services.bus.emit('container', 'commit', container.id, attributes)
    return id
  } finally {
    if (paused && container.paused) await lifecycle.stopping.unpause(container).catch(unlessEnded)
  }
}

/** Not when it ended on the way, or somebody else paused it: its files are its own affair then. */
function frozen({ stopping }: Lifecycle, container: Container): Promise<boolean> {
  return stopping.pause(container, { committing: true }).then(
    () => true,
    (error: unknown) => {
      unlessEnded(error)
      return false
    },
  )
}

function commitLayer(
  { services, images }: Committer,
  container: Container,
  options: CommitOptions,
): Promise<string> {
  const { record, paths } = container
  const filter = storeFilter()
  const sandbox = { core: services.core, ...(filter === undefined ? {} : { filter }) }
  const events = layerEvents(packFolder(sandbox, paths.upper), container)
  return images.commitLayer({
    parent: record.imageId,
    tar: opsToTar(events, { as: 'layer', root: '', omitRoot: true }),
    config: imageConfig({ ...record.config, ...defined(options.config ?? {}) }),
    changes: options.changes,
    author: options.author,
    comment: options.comment,
    createdBy: [record.path, ...record.args].join(' '),
    ...(options.reference === undefined || options.reference === '' ? {} : { reference: options.reference }),
  })
}

/** With the container's own ids; what the engine's own mounts left behind is not the container's work. */
async function* layerEvents(events: AsyncIterable<OpsEvent>, container: Container): AsyncGenerator<OpsEvent> {
  let skipping = false
  for await (const event of events) {
    if (event.type !== 'entry') {
      if (!skipping) yield event
      continue
    }
    const { entry } = event
    const isEmpty = entry.kind === 'dir' || entry.kind === 'times' || (entry.size ?? 0) === 0
    skipping = isSystemDebris(`/${entry.path}`, isEmpty)
    if (!skipping) yield { type: 'entry', entry: insideEntry(entry, container.record.range) }
  }
}

function defined(config: Partial<ContainerConfig>): Partial<ContainerConfig> {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => value !== undefined && value !== null && value !== ''),
  )
}

function imageConfig(config: ContainerConfig): ImageConfig {
  const {
    user,
    exposedPorts,
    env,
    entrypoint,
    cmd,
    volumes,
    workingDir,
    labels,
    stopSignal,
    healthcheck,
    onBuild,
    shell,
  } = config
  return {
    user,
    exposedPorts,
    env,
    entrypoint,
    cmd,
    volumes,
    workingDir,
    labels,
    ...(stopSignal === undefined ? {} : { stopSignal }),
    ...(healthcheck === undefined ? {} : { healthcheck }),
    ...(onBuild === null ? {} : { onBuild }),
    ...(shell === undefined ? {} : { shell }),
  }
}
