import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pack as tarPack } from 'tar-stream'
import type { Pack } from 'tar-stream'

/** A tar stream of a local file or folder, its top entry called `name`. Errors destroy the stream. */
export function packPath(path: string, name: string): Readable {
  const archive = tarPack()
  addTree(archive, path, name, new Map()).then(
    () => archive.finalize(),
    (error: Error) => archive.destroy(error),
  )
  // tar-stream's streams are streamx's; over iteration they become one of Node's, errors and all.
  return Readable.from(archive, { objectMode: false })
}

async function addTree(archive: Pack, path: string, name: string, seen: Map<string, string>): Promise<void> {
  const info = await lstat(path)
  if (info.isSymbolicLink())
    return addEntry(archive, { ...headerOf(info, name), type: 'symlink', linkname: await readlink(path) })
  if (info.isFile()) return addFile(archive, path, info, name, seen)
  if (info.isDirectory()) {
    await addEntry(archive, { ...headerOf(info, `${name}/`), type: 'directory' })
    for (const child of (await readdir(path)).sort())
      await addTree(archive, join(path, child), `${name}/${child}`, seen)
    return
  }
  if (info.isFIFO()) return addEntry(archive, { ...headerOf(info, name), type: 'fifo' })
  // Sockets have no place in an archive; docker leaves them out as well.
  if (info.isSocket()) return
  const type = info.isBlockDevice() ? 'block-device' : 'character-device'
  return addEntry(archive, {
    ...headerOf(info, name),
    type,
    devmajor: Math.floor(info.rdev / 256),
    devminor: info.rdev % 256,
  })
}

export type Header = Parameters<Pack['entry']>[0]

export function headerOf(info: Stats, name: string): Header {
  return { name, mode: info.mode & 0o7777, mtime: info.mtime, uid: info.uid, gid: info.gid }
}

export function addEntry(archive: Pack, header: Header): Promise<void> {
  return new Promise((resolve, reject) => {
    archive.entry(header, (error) => (error === null || error === undefined ? resolve() : reject(error)))
  })
}

export async function addFile(
  archive: Pack,
  path: string,
  info: Stats,
  name: string,
  seen: Map<string, string>,
  header: Header = headerOf(info, name),
): Promise<void> {
  const inode = `${info.dev}:${info.ino}`
  const first = info.nlink > 1 ? seen.get(inode) : undefined
  if (first !== undefined) return addEntry(archive, { ...header, type: 'link', linkname: first })
  if (info.nlink > 1) seen.set(inode, name)
  const entry = archive.entry({ ...header, type: 'file', size: info.size })
  if (info.size === 0) {
    entry.end(Buffer.alloc(0))
    return
  }
  // A file that grows while it is read must not run over the size its header says.
  await pipeline(createReadStream(path, { end: info.size - 1 }), entry)
}
