/** Docker's rules for `cp`: where the archive goes and what its first name becomes. Pure. */
import { posix } from 'node:path'

/** CONTAINER:PATH or a local path. A local path that holds a colon is written ./a:b or /a:b. */
export function splitArgument(word: string): {
  readonly container: string | undefined
  readonly path: string
} {
  if (word.startsWith('/')) return { container: undefined, path: word }
  const colon = word.indexOf(':')
  if (colon < 0 || word.startsWith('.')) return { container: undefined, path: word }
  return { container: word.slice(0, colon), path: word.slice(colon + 1) }
}

export interface Source {
  readonly path: string
  readonly isDirectory: boolean
  /** The name to give where the source was a link that is followed. */
  readonly rebaseName?: string
}

export interface Destination {
  readonly path: string
  readonly exists: boolean
  readonly isDirectory: boolean
}

export interface Placement {
  /** The folder that the archive is unpacked in. */
  readonly folder: string
  /** The first part of each name in the archive that is changed, and to what; equal when nothing changes. */
  readonly from: string
  readonly to: string
}

/** Throws Error in docker's words where the copy makes no sense. */
export function placeCopy(source: Source, destination: Destination): Placement {
  const from = baseOf(source.path)
  const own = source.rebaseName ?? from
  const folder = posix.dirname(stripTail(destination.path))
  const to = baseOf(destination.path)
  if (destination.exists && destination.isDirectory) return { folder: destination.path, from, to: own }
  if (destination.exists && source.isDirectory) throw new Error('cannot copy directory')
  if (destination.exists || source.isDirectory) return { folder, from, to }
  if (assertsDirectory(destination.path)) throw new Error('no such directory')
  return { folder, from, to }
}

/** The last part of a path; "." for `dir/.`, which means what is in it. */
export function baseOf(path: string): string {
  if (path.endsWith('/.') || path === '.') return '.'
  return posix.basename(path)
}

function stripTail(path: string): string {
  return path.replace(/\/+\.?$/, '') || '/'
}

export function assertsDirectory(path: string): boolean {
  return path.endsWith('/') || path === '.' || path.endsWith('/.')
}

/** The new name of an archive's entry. */
export function rebase(name: string, { from, to }: Pick<Placement, 'from' | 'to'>): string {
  if (from === to) return name
  const clean = name.replace(/^\.\/(?=.)/, from === '.' ? './' : '')
  if (from === '.') return clean === '.' || clean === './' ? to : posix.join(to, clean)
  if (clean === from || clean === `${from}/`) return to + clean.slice(from.length)
  return clean.startsWith(`${from}/`) ? to + clean.slice(from.length) : name
}

/** An absolute path that keeps the meaning of a trailing / or /. */
export function keepTail(absolute: string, given: string): string {
  if (given === '.' || given.endsWith('/.')) return absolute === '/' ? '/.' : `${absolute}/.`
  return given.endsWith('/') && absolute !== '/' ? `${absolute}/` : absolute
}
