/** The files of a build as one tar: a folder without what .dockerignore names, standard input, or what a URL gives. */
import { randomBytes } from 'node:crypto'
import { lstat, readdir, readFile, readlink, realpath, stat } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { isAbsolute, join, posix, relative, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pack as tarPack } from 'tar-stream'
import type { Pack } from 'tar-stream'
import { isIgnored, parseIgnore, type IgnorePattern } from '../../base/dockerignore.ts'
import { addEntry, addFile, headerOf } from '../copy/pack.ts'
import { errnoText } from '../errno-text.ts'
import { Failure } from '../failure.ts'
import { downloadContext, isUrl } from './remote-context.ts'

export interface BuildContext {
  readonly tar: Readable
  /** Its path in the context. */
  readonly dockerfile: string
}

/** `file`: as given to -f, relative to the working folder; '' for the context's own Dockerfile. */
export async function contextOf(folder: string, file: string, stdin: Readable): Promise<BuildContext> {
  if (folder === '-' && file === '-')
    throw new Failure("invalid argument: can't use stdin for both build context and dockerfile")
  if (folder === '-') return archiveContext(stdin, file)
  if (isUrl(folder)) return archiveContext(await downloadContext(folder), file)
  return folderContext(await contextFolder(folder), file, stdin)
}

async function contextFolder(folder: string): Promise<string> {
  const info = await stat(folder).catch(() => undefined)
  if (info === undefined) throw unprepared(`path ${JSON.stringify(folder)} not found`)
  if (!info.isDirectory()) throw unprepared(`context must be a directory: ${resolve(folder)}`)
  return realpath(folder)
}

function unprepared(why: string): Failure {
  return new Failure(`unable to prepare context: ${why}`)
}

const MAGICS: readonly (readonly number[])[] = [
  [0x1f, 0x8b],
  [0x28, 0xb5, 0x2f, 0xfd],
  [0x42, 0x5a, 0x68],
  [0xfd, 0x37, 0x7a, 0x58, 0x5a],
]

/** An archive is the context, anything else the Dockerfile of an empty one. */
async function archiveContext(source: Readable, file: string): Promise<BuildContext> {
  const { head, all } = await peek(source, 512)
  const archive =
    MAGICS.some((magic) => magic.every((byte, at) => head[at] === byte)) ||
    head.toString('latin1', 257, 262) === 'ustar'
  if (archive) return { tar: Readable.from(all, { objectMode: false }), dockerfile: file }
  if (head.length === 0) throw unprepared('Dockerfile could not be read from stdin: it is empty')
  const parts: Buffer[] = []
  for await (const bytes of all) parts.push(bytes)
  return {
    tar: tarOf((archiveOut) => addText(archiveOut, 'Dockerfile', Buffer.concat(parts))),
    dockerfile: 'Dockerfile',
  }
}

async function peek(
  stream: Readable,
  count: number,
): Promise<{ readonly head: Buffer; readonly all: AsyncIterable<Buffer> }> {
  const chunks: AsyncIterator<unknown> = stream[Symbol.asyncIterator]()
  const bytesOf = (chunk: unknown): Buffer => (Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk)))
  let head: Buffer = Buffer.alloc(0)
  let ended = false
  while (head.length < count && !ended) {
    const next = await chunks.next()
    ended = next.done === true
    if (!ended) head = Buffer.concat([head, bytesOf(next.value)])
  }
  async function* all(): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head
    for (let next = ended ? undefined : await chunks.next(); next?.done === false; next = await chunks.next())
      yield bytesOf(next.value)
  }
  return { head, all: all() }
}

function tarOf(fill: (archive: Pack) => Promise<void>): Readable {
  const archive = tarPack()
  fill(archive).then(
    () => archive.finalize(),
    (error: Error) => archive.destroy(error),
  )
  return Readable.from(archive, { objectMode: false })
}

function addText(archive: Pack, name: string, content: Buffer): Promise<void> {
  return new Promise((done, reject) => {
    archive.entry({ name, mode: 0o600, mtime: new Date() }, content, (error) =>
      error === null || error === undefined ? done() : reject(error),
    )
  })
}

async function folderContext(folder: string, file: string, stdin: Readable): Promise<BuildContext> {
  const patterns = await ignoresOf(folder)
  const outside = file === '-' ? await readStdin(stdin) : await fileOutside(folder, file)
  // A name that no file of the context has.
  const dockerfile =
    outside === undefined ? await nameInside(folder, file) : `.dockerfile.${randomBytes(10).toString('hex')}`
  // These two always go along: the engine hides them when the list names them.
  const kept = new Set([dockerfile, '.dockerignore'])
  const tar = tarOf(async (archive) => {
    await addFolder({ archive, patterns, kept, seen: new Map() }, folder, '')
    if (outside !== undefined) await addText(archive, dockerfile, outside)
  })
  return { tar, dockerfile }
}

async function ignoresOf(folder: string): Promise<readonly IgnorePattern[]> {
  const text = await readFile(join(folder, '.dockerignore'), 'utf8').catch(() => '')
  try {
    return parseIgnore(text)
  } catch (error) {
    throw new Failure(`error checking context: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function readStdin(stdin: Readable): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of stdin) parts.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk)))
  return Buffer.concat(parts)
}

/** Where the Dockerfile is on this machine; symlinks of it are followed. */
async function dockerfilePath(folder: string, file: string): Promise<string> {
  const path = file === '' ? join(folder, 'Dockerfile') : resolve(file)
  if (file === '' && (await stat(path).catch(() => undefined)) === undefined) {
    const lower = join(folder, 'dockerfile')
    if ((await stat(lower).catch(() => undefined)) !== undefined) return lower
  }
  return realpath(path).catch((error: unknown) => {
    throw unprepared(`unable to evaluate symlinks in Dockerfile path: lstat ${path}: ${errnoText(error)}`)
  })
}

async function fileOutside(folder: string, file: string): Promise<Buffer | undefined> {
  const path = await dockerfilePath(folder, file)
  return isBelow(folder, path) ? undefined : readFile(path)
}

async function nameInside(folder: string, file: string): Promise<string> {
  return relative(folder, await dockerfilePath(folder, file))
}

function isBelow(folder: string, path: string): boolean {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way)
}

interface Walk {
  readonly archive: Pack
  readonly patterns: readonly IgnorePattern[]
  readonly kept: ReadonlySet<string>
  readonly seen: Map<string, string>
}

async function addFolder(walk: Walk, folder: string, name: string): Promise<void> {
  for (const child of (await readdir(folder)).sort()) {
    const [path, full] = [join(folder, child), posix.join(name, child)]
    const info = await lstat(path).catch((error: unknown) => {
      throw new Failure(`error checking context: can't stat '${path}': ${errnoText(error)}`)
    })
    const ignored = isIgnored(walk.patterns, full) && !walk.kept.has(full)
    if (!ignored) await addNode(walk, path, full, info)
    if (info.isDirectory() && (!ignored || mayKeep(walk, full))) await addFolder(walk, path, full)
  }
}

/** Whether something below an ignored folder may be wanted after all. */
function mayKeep({ patterns, kept }: Walk, folder: string): boolean {
  return patterns.some(({ excludes }) => !excludes) || [...kept].some((path) => path.startsWith(`${folder}/`))
}

/** Everything is root's: who built it is nobody's business. */
async function addNode(walk: Walk, path: string, name: string, info: Stats): Promise<void> {
  const header = { ...headerOf(info, name), uid: 0, gid: 0 }
  if (info.isSymbolicLink())
    return addEntry(walk.archive, { ...header, type: 'symlink', linkname: await readlink(path) })
  if (info.isFile()) return addFile(walk.archive, path, info, name, walk.seen, header)
  if (info.isDirectory()) return addEntry(walk.archive, { ...header, name: `${name}/`, type: 'directory' })
  if (info.isFIFO()) return addEntry(walk.archive, { ...header, type: 'fifo' })
}
