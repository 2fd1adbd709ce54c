/**
 * The build context: an archive from a client, unpacked where it reaches nothing but a folder of its own (the same
 * sandbox as an image's layers), one folder per build, gone after it.
 */
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { isIgnored, parseIgnore } from '../../base/dockerignore.ts'
import { DewarError, messageOf } from '../../base/errors.ts'
import { bytesOf } from '../../store/ops.ts'
import { unpackTar, type Sandbox } from '../../store/unpack.ts'
import { DOCKERFILE_BYTES_MAX } from './dockerfile-lines.ts'
import { contentOf } from './events.ts'
import { download, type Download } from './remote.ts'
import { findIn, plainPath, type Tree } from './tree.ts'
import { folderTree } from './workspace.ts'
import type { BuildRequest } from '../build-types.ts'

export interface Context {
  readonly tree: Tree
  readonly dockerfile: string
}

/** `folder` is empty and ours. */
export async function openContext(
  sandbox: Sandbox,
  folder: string,
  request: BuildRequest,
  signal: AbortSignal,
): Promise<Context> {
  const name = request.dockerfile === '' ? 'Dockerfile' : request.dockerfile
  const { tar, text } = await sourceOf(request, signal)
  if (text !== undefined) return { tree: folderTree(sandbox, folder), dockerfile: notEmpty(text, name) }
  await unpackTar(sandbox, folder, tar, { layer: false }, signal)
  const whole = folderTree(sandbox, folder)
  const dockerfile = notEmpty(await readDockerfile(whole, name), name)
  return { tree: folderTree(sandbox, folder, await hiddenIn(whole, name)), dockerfile }
}

type Source =
  | { readonly tar: AsyncIterable<Buffer>; readonly text?: undefined }
  | { readonly tar?: undefined; readonly text: string }

async function sourceOf({ context, remote }: BuildRequest, signal: AbortSignal): Promise<Source> {
  if (remote === undefined) return { tar: bytesFrom(context ?? Readable.from([])) }
  if (/^(git:\/\/|github\.com\/|git@|ssh:\/\/)|^https?:\/\/[^#?]*\.git([#?]|$)/.test(remote)) {
    throw new DewarError(
      'not-implemented',
      `building from the git repository ${remote} is not supported by Dewar`,
      {
        remedy: 'clone it and build from the folder, as the docker client does by itself',
      },
    )
  }
  if (!/^https?:\/\//.test(remote))
    throw new DewarError('invalid-argument', `remoteURL (${remote}) could not be recognized as URL`)
  const { type, body } = await downloaded(remote, signal)
  if (!type.startsWith('text/plain')) return { tar: body }
  return { text: (await readAll(body)).toString('utf8') }
}

async function downloaded(remote: string, signal: AbortSignal): Promise<Download> {
  try {
    return await download(remote, signal)
  } catch (error) {
    if (!(error instanceof DewarError)) throw error
    const message = `error downloading remote context ${remote}: ${messageOf(error)}`
    throw new DewarError(error.code, message, { cause: error })
  }
}

async function* bytesFrom(stream: Readable): AsyncGenerator<Buffer> {
  for await (const chunk of stream) yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
}

async function readAll(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const bytes of source) {
    size += bytes.length
    if (size > DOCKERFILE_BYTES_MAX)
      throw new DewarError(
        'too-large',
        `reading the Dockerfile failed: it has more than ${DOCKERFILE_BYTES_MAX} bytes`,
      )
    parts.push(Buffer.from(bytes))
  }
  return Buffer.concat(parts)
}

function notEmpty(text: string, name: string): string {
  if (text !== '') return text
  throw new DewarError('invalid-argument', `the Dockerfile (${name}) cannot be empty`)
}

async function readDockerfile(tree: Tree, name: string): Promise<string> {
  const text =
    (await readText(tree, name)) ?? (name === 'Dockerfile' ? await readText(tree, 'dockerfile') : undefined)
  if (text !== undefined) return text
  throw new DewarError('system', `Cannot locate specified Dockerfile: ${name}`)
}

async function readText(tree: Tree, name: string): Promise<string | undefined> {
  if (name.includes('\0') || /^\.\.(\/|$)/.test(posix.normalize(name)))
    throw new DewarError('invalid-argument', `forbidden path outside the build context: ${name} ()`)
  const found = await findIn(tree, `/${plainPath(bytesOf(name))}`)
  if (found === undefined) return undefined
  if (found.entry.kind !== 'file')
    throw new DewarError('invalid-argument', `reading the Dockerfile failed: ${name} is not a file`)
  return (await readAll(contentOf(tree.pack(found.path)))).toString('utf8')
}

/** A client always sends these two, also when .dockerignore names them. */
async function hiddenIn(tree: Tree, dockerfile: string): Promise<ReadonlySet<string>> {
  const text = await readText(tree, '.dockerignore')
  if (text === undefined) return new Set()
  const patterns = parseIgnore(text)
  const files = ['.dockerignore', posix.normalize(dockerfile)]
  return new Set(files.filter((file) => isIgnored(patterns, file)).map((file) => plainPath(bytesOf(file))))
}
