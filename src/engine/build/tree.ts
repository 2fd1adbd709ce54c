/**
 * Where COPY and ADD take files from: the build context, another stage, an image. Every look goes through the native
 * packer, which resolves names inside the tree alone (openat2 RESOLVE_IN_ROOT), so no symlink that a context or an
 * image has leads to the host's files. Only the names that a wildcard may mean are listed here, by lstat, following
 * no symlink.
 */
import { lstat, readdir } from 'node:fs/promises'
import { DewarError } from '../../base/errors.ts'
import { PlanFailed } from '../../kernel/plan-failed.ts'
import { bytesOf, textOf, type Entry, type OpsEvent } from '../../store/ops.ts'
import { isWild, matchPart } from './go-match.ts'

export interface Tree {
  /** `path`: bytes, absolute in the tree; its last part is not followed. */
  pack(path: string): AsyncGenerator<OpsEvent>
  /** Folders on the host that it is made of, topmost first: where a wildcard's names are looked for. */
  readonly folders: readonly string[]
  /** Paths (bytes, relative) that are not to be seen. */
  readonly hidden: ReadonlySet<string>
}

export interface Found {
  /** As it can be packed: no symlink in its last part. */
  readonly path: string
  readonly entry: Entry
}

const LINKS_MAX = 40

/** Symlinks are followed inside the tree. Undefined when nothing is there. */
export async function findIn(tree: Tree, path: string): Promise<Found | undefined> {
  const { path: at, entry } = await follow(tree, path)
  return entry === undefined || tree.hidden.has(plainPath(at)) ? undefined : { path: at, entry }
}

/** Where a path leads when its last part is a symlink, whether or not something is there. */
export async function follow(
  tree: Tree,
  path: string,
): Promise<{ readonly path: string; readonly entry?: Entry }> {
  let at = path === '' ? '/' : path
  for (let links = 0; links < LINKS_MAX; links += 1) {
    const entry = await entryIn(tree, at)
    if (entry === undefined) return { path: at }
    if (entry.kind !== 'symlink') return { path: at, entry }
    const link = entry.link ?? ''
    // Not shortened: `a/../b` is another place when `a` is a symlink, and the kernel knows.
    at = link.startsWith('/') ? link : `${at.slice(0, at.lastIndexOf('/'))}/${link}`
  }
  throw new DewarError(
    'invalid-argument',
    `${JSON.stringify(textOf(path))}: too many levels of symbolic links`,
  )
}

export async function entryIn(tree: Tree, path: string): Promise<Entry | undefined> {
  const events = tree.pack(path)
  try {
    const first = await events.next()
    return first.done !== true && first.value.type === 'entry' ? first.value.entry : undefined
  } catch (error) {
    const errno = failureOf(error)?.errno
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined
    if (errno === 'ELOOP' || errno === 'ENAMETOOLONG')
      throw new DewarError(
        'invalid-argument',
        `${JSON.stringify(textOf(path))} cannot be resolved: ${errno}`,
        {
          cause: error,
        },
      )
    throw error
  } finally {
    await events.return(undefined)
  }
}

function failureOf(error: unknown): PlanFailed | undefined {
  if (error instanceof PlanFailed) return error
  return error instanceof Error && error.cause instanceof PlanFailed ? error.cause : undefined
}

/** Relative and clean: how `hidden` spells paths. */
export function plainPath(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')
}

/** Paths (text, relative) that a pattern means, in the order of a walk. */
export async function matchesIn(tree: Tree, pattern: string): Promise<string[]> {
  const parts = plainPath(pattern).split('/')
  let found: string[] = ['']
  for (const part of parts) {
    const next: string[] = []
    for (const parent of found) {
      const names = isWild(part) ? await namesIn(tree.folders, parent) : [part.replaceAll(/\\(.)/g, '$1')]
      for (const name of names.filter((candidate) => !isWild(part) || matchPart(part, candidate)))
        next.push(parent === '' ? name : `${parent}/${name}`)
    }
    found = next
  }
  const kept: string[] = []
  for (const path of found.toSorted(byParts)) {
    const bytes = bytesOf(path)
    if (!tree.hidden.has(bytes) && (await entryIn(tree, `/${bytes}`)) !== undefined) kept.push(path)
  }
  return kept
}

export function byParts(a: string, b: string): number {
  const [left, right] = [a.replaceAll('/', '\0'), b.replaceAll('/', '\0')]
  return left < right ? -1 : Number(left > right)
}

/** Of real folders only: what lies behind a symlink is not walked into, as dockerd does not. */
async function namesIn(folders: readonly string[], parent: string): Promise<string[]> {
  const names = new Set<string>()
  for (const folder of folders) {
    if (!(await isRealFolder(folder, parent))) continue
    const path = Buffer.from(parent === '' ? folder : `${folder}/${parent}`)
    for (const name of await readdir(path)) names.add(name)
  }
  return [...names]
}

async function isRealFolder(folder: string, parent: string): Promise<boolean> {
  let at = folder
  for (const part of parent.split('/').filter((name) => name !== '')) {
    at = `${at}/${part}`
    const info = await lstat(at).catch(() => undefined)
    if (info?.isDirectory() !== true) return false
  }
  return true
}
