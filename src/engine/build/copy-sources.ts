/** What COPY and ADD are to take: names and wildcards resolved, content hashed for the cache. */
import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { DewarError, messageOf } from '../../base/errors.ts'
import { bytesOf, type OpsEvent } from '../../store/ops.ts'
import { mapEntries } from './events.ts'
import { isWild } from './go-match.ts'
import { hashEvents } from './tree-hash.ts'
import { below } from './events.ts'
import { findIn, matchesIn, plainPath, type Tree } from './tree.ts'

export interface CopySource {
  /** `file:…` or `dir:…`: what it holds. */
  readonly hash: string
  readonly isFolder: boolean
  /** Its name as the instruction has it. */
  readonly name: string
  readonly pack: () => AsyncGenerator<OpsEvent>
  /** Came from a URL or a here-document: never unpacked. */
  readonly loose?: boolean
}

/** `fromContext`: dockerd has other words for a file that is missing there. Throws invalid-argument in its words. */
export async function copySources(
  tree: Tree,
  wanted: readonly string[],
  fromContext: boolean,
): Promise<CopySource[]> {
  const found: CopySource[] = []
  for (const path of wanted) {
    const relative = withoutRoot(path)
    const names = isWild(relative)
      ? await matchesIn(tree, checked(relative, path))
      : [checked(relative, path)]
    for (const name of names) found.push(await copySource(tree, name, fromContext))
  }
  return found
}

function withoutRoot(path: string): string {
  const relative = path.length > 1 && path.startsWith('/') ? path.slice(1) : path
  return relative.startsWith('./') ? relative.slice(2) : relative
}

function checked(relative: string, path: string): string {
  if (relative.includes('\0') || /^\.\.(\/|$)/.test(posix.normalize(relative)))
    throw new DewarError('invalid-argument', `forbidden path outside the build context: ${path} ()`)
  return relative
}

async function copySource(tree: Tree, name: string, fromContext: boolean): Promise<CopySource> {
  const found = await findIn(tree, `/${bytesOf(plainName(name))}`)
  if (found === undefined) {
    const why = `stat ${name}: file does not exist`
    throw new DewarError(
      'invalid-argument',
      fromContext ? `file not found in build context or excluded by .dockerignore: ${why}` : why,
    )
  }
  const isFolder = found.entry.kind === 'dir'
  const at = plainPath(found.path)
  const pack = (): AsyncGenerator<OpsEvent> => visible(tree, found.path, at)
  const hash = await hashEvents(pack())
  return { hash: `${isFolder ? 'dir' : 'file'}:${hash}`, isFolder, name: posix.basename(name), pack }
}

/** Without `.` and doubled slashes, so that the last part is the name. `..` stays for the kernel. */
function plainName(name: string): string {
  return name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')
}

/** Whiteouts belong to layers: what looks like one in a context or an image is nobody's file. */
function visible(tree: Tree, path: string, at: string): AsyncGenerator<OpsEvent> {
  return mapEntries(tree.pack(path), (entry) => {
    if (entry.kind === 'whiteout' || entry.kind === 'opaque') return undefined
    return tree.hidden.has(below(at, entry.path)) ? undefined : entry
  })
}

/** As the history has it. */
export function hashOfAll(sources: readonly CopySource[]): string {
  const [first] = sources
  if (first !== undefined && sources.length === 1) return first.hash
  const all = createHash('sha256').update(sources.map(({ hash }) => hash).join(','))
  return `multi:${all.digest('hex')}`
}

/** `COPY failed: …` */
export async function named<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof DewarError)) throw error
    throw new DewarError(error.code, `${name} failed: ${messageOf(error)}`, { cause: error })
  }
}
