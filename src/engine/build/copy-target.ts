/** Where COPY and ADD put things, and as whose. */
import { posix } from 'node:path'
import { DewarError } from '../../base/errors.ts'
import { bytesOf, textOf, type Entry, type OpsEvent } from '../../store/ops.ts'
import { contentOf } from './events.ts'
import { entryIn, findIn, follow, plainPath, type Tree } from './tree.ts'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

export const ROOT: Owner = { uid: 0, gid: 0 }

/** Text, absolute; a trailing slash is kept: it means a folder. */
export function absoluteTarget(target: string, workingDir: string): string {
  if (target.startsWith('/')) return target
  const joined = posix.join('/', workingDir, target)
  return target.endsWith('/') && !joined.endsWith('/') ? `${joined}/` : joined
}

export interface Target {
  /** Bytes, relative, symlinks of the last part followed. */
  readonly path: string
  readonly isFolder: boolean
}

export async function targetOf(tree: Tree, target: string): Promise<Target> {
  const { path, entry } = await follow(tree, `/${plainPath(bytesOf(target))}`)
  return { path: plainPath(path), isFolder: entry?.kind === 'dir' }
}

/**
 * The folders above `path`, topmost first, that are not there yet; `path` itself too when `whole`. Throws where one of
 * them is a file: it must not be taken away for a folder of its name.
 */
export async function missingFolders(tree: Tree, path: string, whole: boolean): Promise<string[]> {
  const parts = path.split('/').filter((part) => part !== '')
  const missing: string[] = []
  for (let count = whole ? parts.length : parts.length - 1; count > 0; count -= 1) {
    const folder = parts.slice(0, count).join('/')
    if ((await entryIn(tree, `/${folder}/.`)) !== undefined) break
    const { entry } = await follow(tree, `/${folder}`)
    if (entry !== undefined)
      throw new DewarError('invalid-argument', `mkdir /${textOf(folder)}: not a directory`)
    missing.unshift(folder)
  }
  return missing
}

export function newFolder(path: string, owner: Owner): OpsEvent {
  const entry: Entry = {
    kind: 'dir',
    path,
    ...owner,
    mode: 0o755,
    mtime: now(),
  }
  return { type: 'entry', entry }
}

/** With its milliseconds: a whole second would lie before the step began, and be kept as a time of the context's. */
function now(): Entry['mtime'] {
  const ms = Date.now()
  return { sec: Math.floor(ms / 1000), ns: (ms % 1000) * 1_000_000 }
}

const FILE_MAX = 4 * 1024 * 1024

/** `--chown=user[:group]`, names looked up in the image's own files. Throws invalid-argument in dockerd's words. */
export async function ownerOf(tree: Tree, text: string): Promise<Owner> {
  const [user = '', group = user, more] = text.split(':')
  if (user === '' || more !== undefined) throw bad(`invalid chown string format: ${text}`)
  const uid = await idOf(tree, user, '/etc/passwd')
  if (uid === undefined) throw bad(`can't find uid for user ${user}: no such user: ${user}`)
  const gid = await idOf(tree, group, '/etc/group')
  if (gid === undefined) throw bad(`can't find gid for group ${group}: no such group: ${group}`)
  return { uid, gid }
}

function bad(why: string): DewarError {
  return new DewarError('invalid-argument', `unable to convert uid/gid chown string to host mapping: ${why}`)
}

const ID_MAX = 0x7fff_ffff

async function idOf(tree: Tree, name: string, file: string): Promise<number | undefined> {
  if (/^\d{1,10}$/.test(name)) {
    if (Number(name) > ID_MAX) throw bad(`${name} is out of range`)
    return Number(name)
  }
  const found = await findIn(tree, file)
  if (found?.entry.kind !== 'file') return undefined
  const parts: Buffer[] = []
  let size = 0
  for await (const bytes of contentOf(tree.pack(found.path))) {
    size += bytes.length
    if (size > FILE_MAX) break
    parts.push(Buffer.from(bytes))
  }
  const line = Buffer.concat(parts)
    .toString('utf8')
    .split('\n')
    .map((text) => text.split(':'))
    .find(([own]) => own === name)
  const id = Number(line?.[2])
  return line !== undefined && Number.isInteger(id) && id >= 0 && id <= ID_MAX ? id : undefined
}

/** `--chmod=755`. */
export function modeOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  if (!/^0?[0-7]{1,4}$/.test(text))
    throw new DewarError(
      'invalid-argument',
      `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
    )
  return Number.parseInt(text, 8)
}
