import { lstat, realpath, stat } from 'node:fs/promises'
import { posix, resolve } from 'node:path'
import { Transform } from 'node:stream'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ClientError } from '../../client/connect.ts'
import type { Client, PathStat } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { command, exactly } from '../command-spec.ts'
import { packPath } from '../copy/pack.ts'
import { baseOf, keepTail, placeCopy, rebase, splitArgument, assertsDirectory } from '../copy/rules.ts'
import type { Destination, Placement, Source } from '../copy/rules.ts'
import { unpack } from '../copy/unpack.ts'
import { errnoText } from '../errno-text.ts'
import { Failure } from '../failure.ts'
import { bool } from '../flags.ts'
import { decimalSize } from '../text/size.ts'

export const cp = command({
  name: 'cp',
  summary: 'Copy files/folders between a container and the local filesystem',
  usage: '[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tdewar cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH',
  arity: exactly(2),
  flags: {
    archive: bool('Archive mode (copy all uid/gid information)', { short: 'a' }),
    'follow-link': bool('Always follow symbol link in SRC_PATH', { short: 'L' }),
    quiet: bool(
      'Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached',
      { short: 'q' },
    ),
  },
  examples: [
    { command: 'dewar cp web:/etc/nginx/nginx.conf .', about: 'Out of a container' },
    { command: 'dewar cp site/. web:/usr/share/nginx/html', about: 'What is in a folder, into a container' },
    { command: 'dewar cp web:/var/log - | tar -t', about: 'As a tar stream' },
  ],
  run: async (flags, [from = '', to = ''], cli) => {
    if (from === '') throw new Failure('source can not be empty')
    if (to === '') throw new Failure('destination can not be empty')
    const source = splitArgument(from)
    const target = splitArgument(to)
    const quiet = flags.given.has('quiet') ? flags.quiet : cli.stdout.isTTY !== true
    const options = { followLink: flags['follow-link'], archive: flags.archive, quiet }
    if (source.container !== undefined && target.container !== undefined)
      throw new Failure('copying between containers is not supported')
    if (source.container === undefined && target.container === undefined)
      throw new Failure('must specify at least one container source')
    const client = await cli.client()
    try {
      if (source.container !== undefined)
        await copyOut(
          client,
          { container: source.container, path: source.path, local: target.path, ...options },
          cli,
        )
      else
        await copyIn(
          client,
          { container: target.container ?? '', path: target.path, local: source.path, ...options },
          cli,
        )
    } catch (error) {
      throw worded(error)
    }
  },
})

interface Copy {
  readonly container: string
  readonly path: string
  readonly local: string
  readonly followLink: boolean
  readonly archive: boolean
  readonly quiet: boolean
}

/** Errors of rules and of the local file system are the user's, not defects. */
function worded(error: unknown): unknown {
  if (error instanceof ClientError || error instanceof Failure || !(error instanceof Error)) return error
  if ('syscall' in error && 'path' in error)
    return new Failure(`${String(error.syscall)} ${String(error.path)}: ${errnoText(error)}`, 1, error)
  return new Failure(error.message, 1, error)
}

async function copyOut(client: Client, copy: Copy, cli: Cli): Promise<void> {
  const local = copy.local === '-' ? '-' : keepTail(resolve(copy.local), copy.local)
  if (local !== '-') await checkOutput(local)
  const { path, rebaseName } = copy.followLink
    ? await followed(client, copy)
    : { path: copy.path, rebaseName: undefined }
  const { stat: info, body } = await client.containers.getArchive(copy.container, path)
  if (local === '-') return pipeline(body, cli.stdout, { end: false })
  const source: Source = {
    path,
    isDirectory: isDirectory(info),
    ...(rebaseName === undefined ? {} : { rebaseName }),
  }
  const { counted, bytes } = count(body)
  await unpack(counted, placeCopy(source, await localDestination(local)), { keepOwners: copy.archive })
  if (!copy.quiet) cli.warn(`Successfully copied ${decimalSize(bytes(), 3)} to ${local}`)
}

async function checkOutput(path: string): Promise<void> {
  const folder = posix.dirname(path.replace(/\/+\.?$/, '') || '/')
  const parent = await stat(folder).catch(() => undefined)
  if (parent === undefined) throw new Failure(`invalid output path: directory "${folder}" does not exist`)
  const there = await stat(path).catch(() => undefined)
  if (there !== undefined && !there.isDirectory() && !there.isFile())
    throw new Failure(`invalid output path: "${path}" must be a directory or a regular file`)
}

async function localDestination(path: string): Promise<Destination> {
  // A link is followed here: the destination is the user's own choice, unlike what the archive holds.
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined) return { path, exists: false, isDirectory: false }
  return { path: keepTail(real, path), exists: true, isDirectory: (await stat(real)).isDirectory() }
}

const GO_DIRECTORY = 2 ** 31
const GO_SYMLINK = 2 ** 27
const hasBit = (mode: number, bit: number): boolean => Math.floor(mode / bit) % 2 === 1

function isDirectory(info: PathStat): boolean {
  return hasBit(info.mode, GO_DIRECTORY)
}

/** -L: the link's target, under the link's own name. */
async function followed(
  client: Client,
  copy: Copy,
): Promise<{ path: string; rebaseName: string | undefined }> {
  const info = await client.containers.statPath(copy.container, copy.path).catch(() => undefined)
  if (info === undefined || !hasBit(info.mode, GO_SYMLINK)) return { path: copy.path, rebaseName: undefined }
  const target = posix.resolve(posix.dirname(copy.path), info.linkTarget)
  return {
    path: target,
    rebaseName: posix.basename(copy.path) === posix.basename(target) ? undefined : posix.basename(copy.path),
  }
}

async function copyIn(client: Client, copy: Copy, cli: Cli): Promise<void> {
  const destination = await containerDestination(client, copy)
  if (copy.local === '-') {
    if (!destination.isDirectory)
      throw new Failure(`destination "${copy.container}:${copy.path}" must be a directory`)
    return client.containers.putArchive(copy.container, destination.path, cli.stdin, {
      copyUidGid: copy.archive,
    })
  }
  const local = keepTail(resolve(copy.local), copy.local)
  const source = await localSource(local, copy.followLink)
  const placement: Placement = placeCopy(source, destination)
  const name = rebase(source.rebaseName ?? baseOf(source.path), {
    from: baseOf(source.path),
    to: placement.to,
  })
  const { counted, bytes } = count(
    packPath(source.path.replace(/\/+\.?$/, '') || '/', name === '.' ? '.' : placement.to),
  )
  await client.containers.putArchive(copy.container, placement.folder, counted, { copyUidGid: copy.archive })
  if (!copy.quiet)
    cli.warn(`Successfully copied ${decimalSize(bytes(), 3)} to ${copy.container}:${copy.path}`)
}

async function localSource(path: string, followLink: boolean): Promise<Source> {
  const bare = path.replace(/\/+\.?$/, '') || '/'
  const info = await lstat(bare).catch((error: unknown) => {
    throw new Failure(`lstat ${bare}: ${errnoText(error)}`)
  })
  if (info.isSymbolicLink() && (followLink || assertsDirectory(path))) {
    const real = await realpath(bare)
    const followedInfo = await stat(real)
    const tail = keepTail(real, path)
    return {
      path: tail,
      isDirectory: followedInfo.isDirectory(),
      ...(tail.endsWith('/.') ? {} : { rebaseName: posix.basename(bare) }),
    }
  }
  if (assertsDirectory(path) && !info.isDirectory()) throw new Failure('not a directory')
  return { path, isDirectory: info.isDirectory() }
}

async function containerDestination(client: Client, copy: Copy): Promise<Destination> {
  let { path } = copy
  let info = await statOrNothing(client, copy.container, path)
  if (info !== undefined && hasBit(info.mode, GO_SYMLINK)) {
    path = posix.resolve(posix.dirname(path), info.linkTarget)
    info = await statOrNothing(client, copy.container, path)
  }
  if (info === undefined) return { path, exists: false, isDirectory: false }
  // Go's type bits other than directory and symlink: device, pipe, socket, irregular.
  const special = [2 ** 26, 2 ** 25, 2 ** 24, 2 ** 21, 2 ** 19].some((bit) => hasBit(info.mode, bit))
  if (special)
    throw new Failure(`destination "${copy.container}:${copy.path}" must be a directory or a regular file`)
  return { path, exists: true, isDirectory: isDirectory(info) }
}

async function statOrNothing(client: Client, container: string, path: string): Promise<PathStat | undefined> {
  try {
    return await client.containers.statPath(container, path)
  } catch (error) {
    // HEAD has no body: "no such path" and "no such container" look alike; the upload tells them apart.
    if (error instanceof ClientError && error.status === 404) return undefined
    throw error
  }
}

function count(body: Readable): { counted: Readable; bytes: () => number } {
  let total = 0
  const counter = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      total += chunk.length
      done(null, chunk)
    },
  })
  body.once('error', (error) => counter.destroy(error))
  return { counted: body.pipe(counter), bytes: () => total }
}
