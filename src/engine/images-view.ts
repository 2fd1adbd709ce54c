/** Images as `docker images`, `inspect` and `history` show them. */
import { DewarError } from '../base/errors.ts'
import type { Digest } from '../store/digest.ts'
import type { ContainerDocument, HistoryDocument, ImageDocument } from '../store/image-config.ts'
import type { ImageRecord, ImageStore } from '../store/image-store.ts'
import type { Layers } from '../store/layers.ts'
import { familiarName, familiarReference } from '../store/reference.ts'
import type { Reference } from '../store/reference.ts'
import { booleanFilter, untilTime } from './filter-values.ts'
import type { Filters, HistoryEntry, ImageConfig, ImageView } from './types.ts'

interface Shelf {
  readonly images: ImageStore
  readonly layers: Layers
}

export function configOfDocument(config: ContainerDocument | undefined): ImageConfig {
  const health = config?.Healthcheck
  return {
    user: config?.User ?? '',
    exposedPorts: config?.ExposedPorts ?? {},
    env: config?.Env ?? [],
    entrypoint: config?.Entrypoint ?? null,
    cmd: config?.Cmd ?? null,
    volumes: config?.Volumes ?? {},
    workingDir: config?.WorkingDir ?? '',
    labels: config?.Labels ?? {},
    onBuild: config?.OnBuild ?? null,
    shell: config?.Shell ?? null,
    ...(config?.StopSignal === undefined ? {} : { stopSignal: config.StopSignal }),
    ...(config?.ArgsEscaped === undefined ? {} : { argsEscaped: config.ArgsEscaped }),
    ...(health === undefined
      ? {}
      : {
          healthcheck: {
            ...(health.Test === undefined ? {} : { test: health.Test }),
            ...(health.Interval === undefined ? {} : { interval: health.Interval }),
            ...(health.Timeout === undefined ? {} : { timeout: health.Timeout }),
            ...(health.StartPeriod === undefined ? {} : { startPeriod: health.StartPeriod }),
            ...(health.StartInterval === undefined ? {} : { startInterval: health.StartInterval }),
            ...(health.Retries === undefined ? {} : { retries: health.Retries }),
          },
        }),
  }
}

/** Milliseconds; 0 when it is not said or not a time. */
export function timeOf(text: string | undefined): number {
  const time = Date.parse(text ?? '')
  return Number.isNaN(time) ? 0 : time
}

/** An image that was built here was made when it was built, whatever date it carries to be the same each time. */
function createdOf({ images }: Shelf, record: ImageRecord): number {
  return record.built?.at ?? timeOf(images.config(record.id).created)
}

/** Bottom first. */
export function layerSizesOf({ images, layers }: Shelf, id: string): number[] {
  return images.chain(images.resolve(id).id).map((chainId) => layers.get(chainId)?.size ?? 0)
}

export function sizeOf({ images, layers }: Shelf, id: Digest): number {
  return images.chain(id).reduce((sum, chainId) => sum + (layers.get(chainId)?.size ?? 0), 0)
}

export function viewOf(shelf: Shelf, record: ImageRecord): ImageView {
  const document = shelf.images.config(record.id)
  const names = shelf.images.namesOf(record.id)
  return {
    id: record.id,
    repoTags: names
      .filter((name) => name.digest === undefined)
      .map(familiarReference)
      .toSorted(),
    repoDigests: names
      .filter((name) => name.digest !== undefined)
      .map(familiarReference)
      .toSorted(),
    parent: record.parent ?? '',
    comment: document.comment ?? document.history?.at(-1)?.comment ?? '',
    created: createdOf(shelf, record),
    author: document.author ?? '',
    architecture: document.architecture,
    ...(document.variant === undefined ? {} : { variant: document.variant }),
    os: document.os,
    size: sizeOf(shelf, record.id),
    config: configOfDocument(document.config),
    layers: record.diffIds,
    lastTagTime: record.lastTagTime,
    containers: -1,
  }
}

/** Newest first. The image itself and those it was built on here have ids; of others nobody recorded them. */
export function historyOf(shelf: Shelf, record: ImageRecord): HistoryEntry[] {
  const document = shelf.images.config(record.id)
  const chain = shelf.images.chain(record.id)
  let layer = 0
  const entries = stepsOf(document, chain.length).map((step): HistoryEntry => {
    const chainId = step.empty_layer === true ? undefined : chain[layer]
    if (step.empty_layer !== true) layer += 1
    return {
      id: '<missing>',
      created: timeOf(step.created),
      createdBy: step.created_by ?? '',
      tags: [],
      size: chainId === undefined ? 0 : (shelf.layers.get(chainId)?.size ?? 0),
      comment: step.comment ?? '',
    }
  })
  const line = ancestry(shelf, record)
  return entries.toReversed().map((entry, at) => {
    const image = line[at]
    if (image === undefined) return entry
    const { repoTags: tags } = viewOf(shelf, image)
    return { ...entry, id: image.id, tags, created: image.built?.at ?? entry.created }
  })
}

/** The image and those it was built on, as far as they are here. */
function ancestry({ images }: Shelf, record: ImageRecord): ImageRecord[] {
  const line: ImageRecord[] = []
  for (
    let image: ImageRecord | undefined = record;
    image !== undefined && !line.includes(image);
    image = image.parent === undefined ? undefined : images.get(image.parent)
  ) {
    line.push(image)
  }
  return line
}

/** Some builders write no history: then each layer is a step. */
function stepsOf(document: ImageDocument, layers: number): readonly HistoryDocument[] {
  const told = document.history ?? []
  if (told.length > 0) return told
  return Array.from({ length: layers }, () => ({ created: document.created }) as HistoryDocument)
}

const FILTERS: ReadonlySet<string> = new Set([
  'dangling',
  'label',
  'label!',
  'before',
  'since',
  'reference',
  'until',
])

export function listImages(
  shelf: Shelf,
  options: { readonly all: boolean; readonly filters: Filters },
): ImageView[] {
  const { filters } = options
  checkFilters(filters, FILTERS)
  const parents = new Set(shelf.images.list().map((record) => record.parent))
  const keep = imageFilter(shelf, filters)
  return shelf.images
    .list()
    .map((record) => viewOf(shelf, record))
    .map((view) => withMatchingNames(view, filters))
    .filter((view) => keep(view))
    .filter(
      (view) =>
        options.all ||
        view.repoTags.length > 0 ||
        view.repoDigests.length > 0 ||
        !parents.has(view.id as Digest),
    )
    .toSorted((a, b) => b.created - a.created || a.id.localeCompare(b.id))
}

export function checkFilters(filters: Filters, known: ReadonlySet<string>): void {
  for (const key of filters.keys()) {
    if (!known.has(key)) throw new DewarError('invalid-argument', `invalid filter '${key}'`)
  }
}

export function imageFilter(shelf: Shelf, filters: Filters): (view: ImageView) => boolean {
  const dangling = booleanFilter(filters, 'dangling')
  const timeOfImage = (ref: string): number => createdOf(shelf, shelf.images.resolve(ref))
  const before = (filters.get('before') ?? []).map(timeOfImage)
  const since = (filters.get('since') ?? []).map(timeOfImage)
  const until = (filters.get('until') ?? []).map((value) => untilTime(value))
  const labels = filters.get('label') ?? []
  const without = filters.get('label!') ?? []
  const byReference = filters.has('reference')
  return (view) => {
    if (dangling !== undefined && dangling !== (view.repoTags.length === 0)) return false
    if (before.some((time) => view.created >= time) || since.some((time) => view.created <= time))
      return false
    if (until.some((time) => view.created > time)) return false
    if (!labels.every((label) => hasLabel(view, label)) || without.some((label) => hasLabel(view, label)))
      return false
    return !byReference || view.repoTags.length > 0 || view.repoDigests.length > 0
  }
}

function hasLabel(view: ImageView, wanted: string): boolean {
  const equals = wanted.indexOf('=')
  if (equals < 0) return wanted in view.config.labels
  return view.config.labels[wanted.slice(0, equals)] === wanted.slice(equals + 1)
}

/** With a `reference` filter only the names that match are shown. */
function withMatchingNames(view: ImageView, filters: Filters): ImageView {
  const patterns = filters.get('reference')
  if (patterns === undefined) return view
  const fits = (name: string): boolean => patterns.some((pattern) => matchesName(pattern, name))
  return { ...view, repoTags: view.repoTags.filter(fits), repoDigests: view.repoDigests.filter(fits) }
}

/** Go's path.Match over the familiar name, with the tag when the pattern has one. */
function matchesName(pattern: string, name: string): boolean {
  const at = name.indexOf('@')
  const whole = at < 0 ? name : name.slice(0, at)
  const colon = whole.indexOf(':', whole.lastIndexOf('/') + 1)
  const bare = colon < 0 ? whole : whole.slice(0, colon)
  const regex = globOf(pattern)
  return regex.test(name) || regex.test(bare)
}

function globOf(pattern: string): RegExp {
  const source = pattern
    .replaceAll(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]')
  try {
    return new RegExp(`^${source}$`)
  } catch (error) {
    throw new DewarError('invalid-argument', `invalid filter 'reference=[${pattern}]'`, { cause: error })
  }
}

export function familiar(reference: Reference): string {
  return reference.tag === undefined && reference.digest === undefined
    ? familiarName(reference)
    : familiarReference(reference)
}
