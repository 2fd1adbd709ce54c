/** The audit's image, made in memory: the static program, folders, and nothing else, no shell. */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pack } from 'tar-stream'
import { PAUSE_ARGV, PROGRAM } from './target.ts'

export interface ImageEntry {
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink' | 'device'
  readonly mode?: number
  readonly content?: Buffer | string
  /** Of a symlink. */
  readonly to?: string
  /** Of a character device. */
  readonly numbers?: readonly [number, number]
}

/** A file that is the same in each container of the image: for who shares whose bytes. */
export const SHARED_FILE = '/audit-shared'
/** Where subjects write; of mode 1777, so that each user may. */
export const WORK_FOLDER = '/audit-work'

export function imageEntries(program: Buffer): readonly ImageEntry[] {
  return [
    { path: PROGRAM, type: 'file', mode: 0o755, content: program },
    { path: WORK_FOLDER, type: 'directory', mode: 0o1777 },
    { path: SHARED_FILE, type: 'file', mode: 0o644, content: Buffer.alloc(8192, 'dewar audit ') },
    { path: '/etc', type: 'directory' },
    { path: '/tmp', type: 'directory', mode: 0o1777 },
    { path: '/proc', type: 'directory' },
    { path: '/sys', type: 'directory' },
    { path: '/dev', type: 'directory' },
  ]
}

/** A one-layer image as `docker save` writes them. `config` is merged into the image's configuration. */
export async function imageArchive(
  reference: string,
  entries: readonly ImageEntry[],
  config: object = {},
): Promise<Buffer> {
  const layer = await tarOf(entries)
  const description = JSON.stringify({
    created: new Date(0).toISOString(),
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: [...PAUSE_ARGV], Env: ['PATH=/'], ...config },
    // Podman builds on no image whose history does not account for its layers.
    history: [{ created: new Date(0).toISOString(), created_by: 'dewar audit' }],
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest(layer)}`] },
  })
  const id = digest(Buffer.from(description))
  const manifest = [{ Config: `${id}.json`, RepoTags: [reference], Layers: [`${digest(layer)}/layer.tar`] }]
  return tarOf([
    { path: '/manifest.json', type: 'file', content: JSON.stringify(manifest) },
    { path: `/${id}.json`, type: 'file', content: description },
    { path: `/${digest(layer)}/layer.tar`, type: 'file', content: layer },
  ])
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export async function tarOf(entries: readonly ImageEntry[]): Promise<Buffer> {
  const tar = pack()
  for (const entry of entries) {
    const common = {
      name: entry.path.slice(1),
      mode: entry.mode ?? (entry.type === 'directory' ? 0o755 : 0o644),
      mtime: new Date(0),
    }
    if (entry.type === 'file') tar.entry({ ...common, type: 'file' }, entry.content ?? '')
    else if (entry.type === 'symlink') tar.entry({ ...common, type: 'symlink', linkname: entry.to ?? '' })
    else if (entry.type === 'device') {
      const [devmajor, devminor] = entry.numbers ?? [1, 3]
      tar.entry({ ...common, type: 'character-device', devmajor, devminor })
    } else tar.entry({ ...common, name: `${common.name}/`, type: 'directory' })
  }
  tar.finalize()
  const chunks: Uint8Array[] = []
  for await (const chunk of Readable.from(tar, { objectMode: false })) {
    const value: unknown = chunk
    if (value instanceof Uint8Array) chunks.push(value)
  }
  return Buffer.concat(chunks)
}

/** The image's files as a folder, for bare runtimes. Links and devices are left out: none of ours has any. */
export async function unpackImage(entries: readonly ImageEntry[], folder: string): Promise<void> {
  for (const { path, type, mode, content } of entries) {
    const at = join(folder, path)
    if (type === 'directory') await mkdir(at, { recursive: true, mode: mode ?? 0o755 })
    if (type === 'file') await writeFile(at, content ?? '', { mode: mode ?? 0o644 })
  }
}
