/** Images as dockerd shows them to each API version. */
import type { ContainerView, HistoryEntry, ImageView } from '../engine/types.ts'
import { isEmpty, sortedMap } from './codec.ts'
import { CONFIG, HEALTHCHECK_CODEC } from './container-schema.ts'
import { rfc3339Nano } from './go-time.ts'

/** The container's half of an image's config, which answers before API 1.50 still had, as zero values. */
const LEGACY_CONFIG = {
  hostname: '',
  domainname: '',
  attachStdin: false,
  attachStdout: false,
  attachStderr: false,
  tty: false,
  openStdin: false,
  stdinOnce: false,
  image: '',
  onBuild: null,
}

/** `containerConfig`: for a client that needs it from every version of the API. */
export function imageJson(
  image: ImageView,
  minor: number,
  { containerConfig = false }: { readonly containerConfig?: boolean } = {},
): object {
  return {
    Id: image.id,
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Parent: image.parent,
    Comment: image.comment,
    ...(image.created === 0 && minor >= 44 ? {} : { Created: rfc3339Nano(image.created) }),
    ...(minor < 45 ? { Container: '', ContainerConfig: legacyConfig({}) } : {}),
    // It looks there for the anonymous volumes to carry over.
    ...(containerConfig ? { ContainerConfig: legacyConfig({ volumes: image.config.volumes }) } : {}),
    DockerVersion: '',
    Author: image.author,
    Config: minor < 50 ? legacyConfig(image.config) : ociConfig(image.config),
    Architecture: image.architecture,
    ...(image.variant === undefined || image.variant === '' ? {} : { Variant: image.variant }),
    Os: image.os,
    Size: image.size,
    ...(minor < 44 ? { VirtualSize: image.size } : {}),
    GraphDriver: { Data: graphData(image.folders ?? []), Name: 'overlay2' },
    RootFS: { Type: 'layers', ...(image.layers.length === 0 ? {} : { Layers: image.layers }) },
    Metadata: { LastTagTime: rfc3339Nano(image.lastTagTime) },
  }
}

/** As overlay2 has it: the topmost layer's folder above the others'. Layers are mounted nowhere, nor are they written to. */
function graphData([upper, ...lower]: readonly string[]): object | null {
  if (upper === undefined) return null
  const below = lower.length === 0 ? {} : { LowerDir: lower.join(':') }
  return { ...below, MergedDir: '', UpperDir: upper, WorkDir: '' }
}

function legacyConfig(config: Partial<ImageView['config']>): unknown {
  return CONFIG.encode({
    ...LEGACY_CONFIG,
    user: '',
    workingDir: '',
    ...config,
    env: config.env ?? null,
    cmd: config.cmd ?? null,
    entrypoint: config.entrypoint ?? null,
    volumes: isEmpty(config.volumes) ? null : config.volumes,
    labels: isEmpty(config.labels) ? null : config.labels,
    onBuild: config.onBuild ?? null,
    shell: config.shell ?? [],
  })
}

/** API 1.50: the OCI image config, where everything empty is left out. */
function ociConfig(config: ImageView['config']): object {
  const encoded = {
    User: config.user,
    ExposedPorts: sortedMap(config.exposedPorts),
    Env: config.env,
    Entrypoint: config.entrypoint,
    Cmd: config.cmd,
    Volumes: sortedMap(config.volumes),
    WorkingDir: config.workingDir,
    Labels: sortedMap(config.labels),
    StopSignal: config.stopSignal,
    ArgsEscaped: config.argsEscaped,
    Healthcheck: config.healthcheck === undefined ? undefined : HEALTHCHECK_CODEC.encode(config.healthcheck),
    OnBuild: config.onBuild,
    Shell: config.shell,
  }
  return Object.fromEntries(Object.entries(encoded).filter(([, value]) => !isEmpty(value)))
}

/** What images hold together: each layer counts once, by what it is and what lies below it. */
export interface LayerUse {
  /** Bytes of all layers. */
  readonly total: number
  /** Bytes of an image's layers that another of the images has, too. */
  sharedOf(image: ImageView): number
}

export function layerUse(images: readonly ImageView[]): LayerUse {
  const uses = new Map<string, { readonly size: number; count: number }>()
  for (const image of images) {
    for (const { key, size } of stackOf(image)) {
      const use = uses.get(key) ?? { size, count: 0 }
      use.count += 1
      uses.set(key, use)
    }
  }
  return {
    total: [...uses.values()].reduce((sum, { size }) => sum + size, 0),
    sharedOf: (image) =>
      stackOf(image).reduce((sum, { key, size }) => sum + ((uses.get(key)?.count ?? 0) > 1 ? size : 0), 0),
  }
}

function stackOf({ layers, layerSizes = [] }: ImageView): { readonly key: string; readonly size: number }[] {
  return layers.map((_, at) => ({ key: layers.slice(0, at + 1).join(), size: layerSizes[at] ?? 0 }))
}

/** With how many containers use each, running or not. */
export function counted(
  images: readonly ImageView[],
  containers: readonly Pick<ContainerView, 'imageId'>[],
): ImageView[] {
  return images.map((image) => ({
    ...image,
    containers: containers.filter(({ imageId }) => imageId === image.id).length,
  }))
}

/** A row of `docker images`. Before API 1.43 an image without a name was called <none>. */
export function imageSummaryJson(
  image: ImageView,
  minor: number,
  options: { readonly counted: boolean; readonly shared: number },
): object {
  const nameless = minor < 43 && image.repoTags.length === 0 && image.repoDigests.length === 0
  return {
    Containers: options.counted ? image.containers : -1,
    Created: Math.floor(image.created / 1000),
    Id: image.id,
    Labels: isEmpty(image.config.labels) ? null : sortedMap(image.config.labels),
    ParentId: image.parent,
    RepoDigests: nameless ? ['<none>@<none>'] : image.repoDigests,
    RepoTags: nameless ? ['<none>:<none>'] : image.repoTags,
    SharedSize: options.shared,
    Size: image.size,
    ...(minor < 44 ? { VirtualSize: image.size } : {}),
  }
}

export function historyJson(entry: HistoryEntry): object {
  return {
    Comment: entry.comment,
    Created: Math.floor(entry.created / 1000),
    CreatedBy: entry.createdBy,
    Id: entry.id,
    Size: entry.size,
    Tags: entry.tags.length === 0 ? null : entry.tags,
  }
}

/** `Untagged` and `Deleted` lines of rmi and prune. */
export function deletedJson(entry: { readonly untagged?: string; readonly deleted?: string }): object {
  return {
    ...(entry.deleted === undefined ? {} : { Deleted: entry.deleted }),
    ...(entry.untagged === undefined ? {} : { Untagged: entry.untagged }),
  }
}
