/**
 * Unpacks a container's archive on the host. The archive is hostile: names may be absolute or climb with .., links may
 * point anywhere. Nothing is written through a link that is not the destination itself, nothing outside of it.
 * Not protected: somebody else on the host who swaps folders while we write there.
 */
import { createWriteStream } from 'node:fs'
import { chmod, lchown, link, lstat, mkdir, rm, symlink, utimes } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract as tarExtract } from 'tar-stream'
import type { Header } from 'tar-stream'
import { Failure } from '../failure.ts'
import { rebase } from './rules.ts'
import type { Placement } from './rules.ts'

export interface UnpackOptions {
  /** Keep owners and set-user-id bits; else everything is the caller's, without them. */
  readonly keepOwners: boolean
}

export async function unpack(source: Readable, placement: Placement, options: UnpackOptions): Promise<void> {
  const extract = tarExtract()
  const folders: { path: string; mtime: Date; mode: number }[] = []
  const reading = pipeline(source, extract)
  reading.catch(() => undefined)
  for await (const entry of extract) {
    const header = entry.header
    const path = await safePath(placement.folder, rebase(header.name, placement))
    await writeEntry({ header, path, body: Readable.from(entry, { objectMode: false }), placement, options })
    if (header.type === 'directory')
      folders.push({ path, mtime: header.mtime ?? new Date(0), mode: modeOf(header, options) })
  }
  await reading
  // Last, innermost first: writing into a folder changes its time, and may need more rights than it will have.
  for (const { path, mtime, mode } of folders.reverse()) {
    await chmod(path, mode)
    await utimes(path, mtime, mtime)
  }
}

/** Where a name lies in the folder, after making sure that every folder on the way is a real one. */
export async function safePath(folder: string, name: string): Promise<string> {
  const relative = posix.normalize(name).replace(/^\/+/, '').replace(/\/+$/, '')
  if (relative === '..' || relative.startsWith('../')) throw refusal(name, 'leads out of the destination')
  if (name.includes('\0')) throw refusal(name, 'holds a NUL')
  let path = folder
  const parts = relative === '.' ? [] : relative.split('/')
  for (const part of parts.slice(0, -1)) {
    path = join(path, part)
    const info = await lstat(path).catch(() => undefined)
    if (info === undefined) await mkdir(path)
    else if (!info.isDirectory()) throw refusal(name, `goes through ${path}, which is no folder`)
  }
  return join(path, parts.at(-1) ?? '')
}

function refusal(name: string, why: string): Failure {
  return new Failure(
    `copying failed: the archive's entry ${JSON.stringify(name)} ${why} (the container's files are not to be trusted; nothing was written for it)`,
  )
}

interface Entry {
  readonly header: Header
  readonly path: string
  readonly body: Readable
  readonly placement: Placement
  readonly options: UnpackOptions
}

async function writeEntry({ header, path, body, placement, options }: Entry): Promise<void> {
  const there = await lstat(path).catch(() => undefined)
  if (header.type === 'directory') {
    if (there !== undefined && !there.isDirectory())
      throw new Failure(`cannot overwrite non-directory "${path}" with directory "${path}"`)
    if (there === undefined) await mkdir(path, { mode: 0o700 })
    if (options.keepOwners) await lchown(path, header.uid ?? 0, header.gid ?? 0)
    return
  }
  if (there?.isDirectory() === true)
    throw new Failure(`cannot overwrite directory "${path}" with non-directory "${dirname(path)}"`)
  if (there !== undefined) await rm(path)
  await create({ header, path, body, placement, options })
  if (options.keepOwners && header.type !== 'link') await lchown(path, header.uid ?? 0, header.gid ?? 0)
  if (header.type === 'file') {
    await chmod(path, modeOf(header, options))
    const time = header.mtime ?? new Date(0)
    await utimes(path, time, time)
  }
}

async function create({ header, path, body, placement }: Entry): Promise<void> {
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
      // wx: the name was free a moment ago; whatever is there now was not put there by us.
      return pipeline(body, createWriteStream(path, { flags: 'wx', mode: 0o600 }))
    case 'symlink':
      return symlink(header.linkname ?? '', path)
    case 'link': {
      const target = await safePath(placement.folder, rebase(header.linkname ?? '', placement))
      if ((await lstat(target)).isSymbolicLink())
        throw refusal(header.name, 'is a hard link to a symbolic link')
      return link(target, path)
    }
    default:
      throw new Failure(
        `copying ${header.name} failed: it is a ${header.type ?? 'special file'}, which is not made on the host (leave it out)`,
      )
  }
}

/** A container's set-user-id program must not become the host root's. */
function modeOf(header: Header, options: UnpackOptions): number {
  return (header.mode ?? 0o644) & (options.keepOwners ? 0o7777 : 0o1777)
}
