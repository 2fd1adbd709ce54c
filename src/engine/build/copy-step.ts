/** COPY and ADD. */
import { createWriteStream } from 'node:fs'
import { chmod, mkdir, mkdtemp, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createHash } from 'node:crypto'
import { DewarError, messageOf } from '../../base/errors.ts'
import type { Digest } from '../../store/digest.ts'
import type { Build } from './build.ts'
import { placeFiles } from './copy-files.ts'
import { copySources, hashOfAll, named, type CopySource } from './copy-sources.ts'
import { absoluteTarget, modeOf, ownerOf } from './copy-target.ts'
import { imageOf } from './from-step.ts'
import type { Copy } from './instruction.ts'
import { download } from './remote.ts'
import { CLOCK_SLACK_MS } from './layer.ts'
import { addStep, fromCache, nopCommand, stepKey, type StageState } from './stage.ts'
import type { Tree } from './tree.ts'
import { emptyTree, folderTree, openWorkspace } from './workspace.ts'
import { workspaceLayer } from './workspace-layer.ts'

const isUrl = (text: string): boolean => /^https?:\/\//.test(text)

export async function copyStep(build: Build, state: StageState, copy: Copy): Promise<void> {
  const name = copy.kind.toUpperCase()
  await using origin = await originOf(build, copy)
  const sources = await named(name, () => sourcesOf(build, state, copy, origin.tree))
  if (sources.length > 1 && !copy.target.endsWith('/')) {
    throw new DewarError(
      'invalid-argument',
      `When using ${name} with more than one source file, the destination must be a directory and end with a /`,
    )
  }
  const chown = copy.flags.get('chown') ?? ''
  const chmodText = copy.flags.get('chmod') ?? ''
  const mode = modeOf(chmodText)
  const marks = `${chown === '' ? '' : `--chown=${chown}`}${chmodText === '' ? '' : `--chmod=${chmodText}`}`
  const comment = `${name} ${marks}${hashOfAll(sources)} in ${copy.target} `
  const command = nopCommand(state.config, comment)
  // Names count too: `COPY a b /x/` makes other files than `COPY c d /x/` of the same content.
  const names = sources.map((source) => source.name)
  const key = stepKey(build, state, [copy.kind, comment, ...names, state.config.workingDir], state.config)
  if (fromCache(build, state, key)) return
  const from = Date.now() - CLOCK_SLACK_MS
  await using space = await openWorkspace(build.services, build.sandbox, state.imageId)
  const owner = chown === '' ? undefined : await ownerOf(space, chown)
  const target = absoluteTarget(copy.target, state.config.workingDir)
  await placeFiles(space, sources, { target, owner, mode, unpack: copy.kind === 'add' })
  await using layer = await workspaceLayer(build, state, space, from)
  await addStep(build, state, { config: state.config, createdBy: command.join(' '), key, layer })
}

interface Origin extends AsyncDisposable {
  readonly tree: Tree
}

/** The context, or the stage or image of --from. */
async function originOf(build: Build, copy: Copy): Promise<Origin> {
  const from = copy.flags.get('from') ?? ''
  if (from === '') return { tree: build.context.tree, [Symbol.asyncDispose]: async () => undefined }
  const stage = stageOf(build, from)
  const imageId = stage === undefined ? await imageFrom(build, from) : stage.imageId
  if (imageId === undefined) return { tree: emptyTree(), [Symbol.asyncDispose]: async () => undefined }
  const space = await openWorkspace(build.services, build.sandbox, imageId)
  return { tree: space, [Symbol.asyncDispose]: () => space[Symbol.asyncDispose]() }
}

function stageOf(
  { done, stages }: Build,
  from: string,
): { readonly imageId: Digest | undefined } | undefined {
  const byName = done.find(({ name }) => name !== '' && name === from.toLowerCase())
  if (byName !== undefined || !/^[+-]?\d+$/.test(from)) return byName
  const stage = done[Number(from)]
  if (stage !== undefined) return stage
  const current = Number(from) === done.length && done.length < stages
  const why = current ? 'refers to current build stage' : 'index out of bounds'
  throw new DewarError('invalid-argument', `invalid from flag value ${from}: ${why}`)
}

async function imageFrom(build: Build, from: string): Promise<Digest> {
  try {
    return (await imageOf(build, from, build.request.platform)).id
  } catch (error) {
    if (!(error instanceof DewarError)) throw error
    throw new DewarError(error.code, `invalid from flag value ${from}: ${messageOf(error)}`, { cause: error })
  }
}

async function sourcesOf(build: Build, state: StageState, copy: Copy, tree: Tree): Promise<CopySource[]> {
  const found: CopySource[] = []
  for (const source of copy.sources) {
    if (isUrl(source)) found.push(await remoteSource(build, copy, source))
    else found.push(...(await copySources(tree, [source], !copy.flags.has('from'))))
  }
  for (const { name, content } of copy.heredocs) {
    found.push(
      await looseFile(build, { name, content: Readable.from([content]), time: state.created, mode: 0o644 }),
    )
  }
  if (found.length === 0) throw new DewarError('invalid-argument', 'no source files were specified')
  return found
}

async function remoteSource(build: Build, copy: Copy, url: string): Promise<CopySource> {
  if (copy.kind === 'copy') throw new DewarError('invalid-argument', "source can't be a URL for COPY")
  const { body, modified, disposition } = await download(url, build.signal)
  const name = nameOf(url, disposition)
  if (name === '' && copy.target.endsWith('/'))
    throw new DewarError('invalid-argument', `cannot determine filename for source ${url}`)
  const file = {
    name: name === '' ? 'file' : name,
    content: Readable.from(body),
    time: modified,
    mode: 0o600,
  }
  return looseFile(build, { ...file, checksum: copy.flags.get('checksum') })
}

function nameOf(url: string, disposition: string): string {
  const inPath = decodeURIComponent(new URL(url).pathname.split('/').at(-1) ?? '')
  const given = /filename="?([^";]+)"?/.exec(disposition)?.[1] ?? ''
  const name = inPath === '' ? given : inPath
  return name === '.' || name === '..' || name.includes('/') || name.includes('\0') ? '' : name
}

interface LooseFile {
  readonly name: string
  readonly content: Readable
  /** Milliseconds. */
  readonly time: number
  readonly mode: number
  /** sha256:… that it must have. */
  readonly checksum?: string | undefined
}

/** A file that comes from no tree, in a folder of its own. */
async function looseFile(build: Build, file: LooseFile): Promise<CopySource> {
  const parent = await mkdtemp(join(build.folder, 'file-'))
  const folder = join(parent, 'tree')
  await mkdir(folder)
  const path = join(folder, file.name)
  const hash = createHash('sha256')
  await pipeline(
    file.content,
    async function* (source: AsyncIterable<Buffer | string>) {
      for await (const bytes of source) {
        hash.update(bytes)
        yield bytes
      }
    },
    createWriteStream(path, { mode: 0o600, flags: 'wx' }),
    { signal: build.signal },
  )
  const digest = `sha256:${hash.digest('hex')}`
  if (file.checksum !== undefined && file.checksum !== digest)
    throw new DewarError('invalid-argument', `digest mismatch ${digest}: ${file.checksum}`)
  await chmod(path, file.mode)
  await utimes(path, file.time / 1000, file.time / 1000)
  const [source] = await copySources(
    folderTree(build.sandbox, folder),
    [file.name.replaceAll(/[*?[\\]/g, '\\$&')],
    false,
  )
  if (source === undefined) throw new DewarError('system', `keeping ${file.name} failed`)
  // dockerd's history tells such a file by its hash alone.
  return { ...source, hash: source.hash.replace(/^file:/, ''), name: file.name, loose: true }
}
