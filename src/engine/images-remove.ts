/** `docker rmi` and `docker image prune`: Docker's rules and words (moby daemon/images/image_delete.go). */
import { DewarError } from '../base/errors.ts'
import type { Digest } from '../store/digest.ts'
import type { ImageRecord, ImageStore } from '../store/image-store.ts'
import type { Layers } from '../store/layers.ts'
import {
  canonical,
  familiarReference,
  parseReference,
  repositoryOf,
  withDefaultTag,
} from '../store/reference.ts'
import type { Reference } from '../store/reference.ts'
import type { Housekeeping } from './images-housekeeping.ts'
import { booleanFilter } from './filter-values.ts'
import { checkFilters, imageFilter, viewOf } from './images-view.ts'
import type { Filters } from './types.ts'

export type Removed = { readonly untagged?: string; readonly deleted?: string }

/** A container that was made from an image. */
export interface ImageUser {
  readonly id: string
  readonly running: boolean
}

export interface Remover {
  readonly images: ImageStore
  readonly layers: Layers
  readonly housekeeping: Housekeeping
  readonly usersOf: (imageId: string) => readonly ImageUser[]
  readonly onEvent: (
    action: 'untag' | 'delete',
    id: string,
    attributes: Readonly<Record<string, string>>,
  ) => void
}

interface Removal {
  readonly records: Removed[]
  bytes: number
}

export async function removeImage(
  store: Remover,
  ref: string,
  options: { readonly force: boolean; readonly noPrune: boolean },
): Promise<{ readonly removed: readonly Removed[]; readonly bytes: number }> {
  const image = store.images.resolve(ref)
  const removal: Removal = { records: [], bytes: 0 }
  let quiet = false
  if (isIdOf(image.id, ref)) {
    await untagById(store, image, options.force, removal)
  } else {
    const left = await untagByName(store, image, ref, options.force, removal)
    if (left > 0) return { removed: removal.records, bytes: 0 }
    quiet = true
  }
  await erase(store, image, { force: options.force, prune: !options.noPrune, quiet }, removal)
  return { removed: removal.records, bytes: removal.bytes }
}

function isIdOf(id: Digest, ref: string): boolean {
  return id.startsWith(ref) || id.startsWith(`sha256:${ref}`)
}

/** Resolves with the number of names that are left. */
async function untagByName(
  store: Remover,
  image: ImageRecord,
  ref: string,
  force: boolean,
  removal: Removal,
): Promise<number> {
  const user = store.usersOf(image.id)[0]
  if (!force && user !== undefined && isSingle(store.images.namesOf(image.id))) {
    const why = `container ${user.id.slice(0, 12)} is using its referenced image ${short(image.id)}`
    throw new DewarError(
      'conflict',
      `conflict: unable to remove repository reference ${JSON.stringify(ref)} (must force) - ${why}`,
    )
  }
  const parsed = withDefaultTag(parseReference(ref))
  const { tag: _tag, ...untagged } = parsed
  await untag(store, image, parsed.digest === undefined ? parsed : untagged, removal)
  const same = store.images.namesOf(image.id).filter((name) => repositoryOf(name) === repositoryOf(parsed))
  // Digests of a repository go with its last tag.
  if (parsed.digest === undefined && same.every((name) => name.digest !== undefined)) {
    for (const name of same) await untag(store, image, name, removal)
  }
  return store.images.namesOf(image.id).length
}

async function untagById(
  store: Remover,
  image: ImageRecord,
  force: boolean,
  removal: Removal,
): Promise<void> {
  const names = store.images.namesOf(image.id)
  if (!isSingle(names)) return
  refuseConflicts(store, image, { force, ignoreNames: true })
  for (const name of names) await untag(store, image, name, removal)
}

async function untag(store: Remover, image: ImageRecord, name: Reference, removal: Removal): Promise<void> {
  await store.images.unname(canonical(name))
  removal.records.push({ untagged: familiarReference(name) })
  store.onEvent('untag', image.id, { name: image.id })
}

/** At most one tag, and all names in one repository. */
function isSingle(names: readonly Reference[]): boolean {
  const tags = names.filter((name) => name.digest === undefined)
  return tags.length <= 1 && new Set(names.map(repositoryOf)).size <= 1
}

interface EraseOptions {
  readonly force: boolean
  /** Parents without names go too. */
  readonly prune: boolean
  /** What stands in the way ends it without an error. */
  readonly quiet: boolean
}

async function erase(
  store: Remover,
  image: ImageRecord,
  options: EraseOptions,
  removal: Removal,
): Promise<void> {
  try {
    refuseConflicts(store, image, { force: options.force, ignoreNames: false })
  } catch (error) {
    if (!(error instanceof DewarError)) throw error
    // A parent that others share ends the way up; it is not dangling (moby's imageIsDangling).
    const dangling = store.images.namesOf(image.id).length === 0 && !hasChildren(store, image)
    const used = store.usersOf(image.id).length > 0
    if (options.quiet && (!dangling || used)) return
    throw error
  }
  for (const name of store.images.namesOf(image.id)) await untag(store, image, name, removal)
  const chain = store.images.chain(image.id)
  await store.images.remove(image.id)
  store.onEvent('delete', image.id, { name: image.id })
  removal.records.push({ deleted: image.id })
  const freed = await store.housekeeping.release(image, chain)
  removal.bytes += freed.bytes
  for (const chainId of freed.chains) removal.records.push({ deleted: chainId })
  const parent = image.parent === undefined ? undefined : store.images.get(image.parent)
  if (!options.prune || parent === undefined) return
  await erase(store, parent, { force: false, prune: true, quiet: true }, removal)
}

function refuseConflicts(
  store: Remover,
  image: ImageRecord,
  { force, ignoreNames }: { readonly force: boolean; readonly ignoreNames: boolean },
): void {
  const users = store.usersOf(image.id)
  const running = users.find((user) => user.running)
  if (running !== undefined) {
    throw conflict(
      image,
      'cannot be forced',
      `image is being used by running container ${running.id.slice(0, 12)}`,
    )
  }
  if (hasChildren(store, image)) {
    throw conflict(image, 'cannot be forced', 'image has dependent child images')
  }
  if (force) return
  if (!ignoreNames && store.images.namesOf(image.id).length > 0) {
    throw conflict(image, 'must be forced', 'image is referenced in multiple repositories')
  }
  const stopped = users[0]
  if (stopped !== undefined) {
    throw conflict(
      image,
      'must be forced',
      `image is being used by stopped container ${stopped.id.slice(0, 12)}`,
    )
  }
}

function hasChildren(store: Remover, image: ImageRecord): boolean {
  return store.images.list().some((other) => other.parent === image.id)
}

function conflict(image: ImageRecord, how: string, why: string): DewarError {
  return new DewarError('conflict', `conflict: unable to delete ${short(image.id)} (${how}) - ${why}`)
}

function short(id: string): string {
  return id.slice('sha256:'.length, 'sha256:'.length + 12)
}

const PRUNE_FILTERS: ReadonlySet<string> = new Set(['dangling', 'label', 'label!', 'until'])

export async function pruneImages(
  store: Remover,
  filters: Filters,
): Promise<{ readonly deleted: readonly Removed[]; readonly reclaimed: number }> {
  checkFilters(filters, PRUNE_FILTERS)
  const danglingOnly = booleanFilter(filters, 'dangling') ?? true
  const others = new Map([...filters].filter(([key]) => key !== 'dangling'))
  const keep = imageFilter(store, others)
  const deleted: Removed[] = []
  let reclaimed = 0
  for (const image of store.images.list()) {
    // Of a chain that was removed from its end.
    if (store.images.get(image.id) === undefined) continue
    const view = viewOf(store, image)
    if (hasChildren(store, image) || !keep(view)) continue
    if (store.usersOf(image.id).length > 0 || (danglingOnly && view.repoTags.length > 0)) continue
    const removal: Removal = { records: [], bytes: 0 }
    for (const name of store.images.namesOf(image.id)) await untag(store, image, name, removal)
    await erase(store, image, { force: false, prune: true, quiet: true }, removal)
    deleted.push(...removal.records)
    reclaimed += removal.bytes
  }
  // Who names labels or a time means images.
  if (others.size === 0) reclaimed += await store.housekeeping.sweepLeftovers()
  return { deleted, reclaimed }
}
