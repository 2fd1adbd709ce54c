/**
 * Images. Their names have slashes (`/images/127.0.0.1:5000/a/b:1/push`), so one wildcard route takes everything
 * below /images/ and the last part decides, as dockerd's `{name:.*}` patterns do.
 */
import type { FastifyReply } from 'fastify'
import { DewarError } from '../base/errors.ts'
import type { EngineApi, Images, ImageView, OnProgress } from '../engine/types.ts'
import { parseAuthHeader } from './auth-header.ts'
import { CONFIG } from './container-schema.ts'
import { wantsContainerConfig } from './client-quirks.ts'
import { checkPlatforms } from './image-platform.ts'
import { counted, deletedJson, historyJson, imageJson, imageSummaryJson, layerUse } from './image-view.ts'
import { filtersOf, flagOf, textOf } from './query.ts'
import { checkImageRef, checkRef } from './ref.ts'
import { sendEmpty, sendJson, sendProgress, sendStream } from './respond.ts'
import { on } from './route.ts'
import type { Call, Room } from './route.ts'

const LIST_FILTERS = ['before', 'dangling', 'label', 'reference', 'since', 'until']
const PRUNE_FILTERS = ['dangling', 'label', 'label!', 'until']

export function imageRoutes({ app, engine }: Room): void {
  const { images } = engine
  on(app, 'GET', '/images/json', (call) => list(call, engine))
  on(app, 'POST', '/images/create', (call) =>
    textOf(call.query, 'fromImage') === undefined ? importImage(call, images) : pull(call, images),
  )
  on(app, 'POST', '/images/load', async (call) => {
    const tar = call.request.raw
    // Clients that want bars say so.
    const quiet = flagOf(call.query, 'quiet', true)
    return sendProgress(call.reply, (onProgress) =>
      images.load(tar, quiet ? withoutBars(onProgress) : onProgress),
    )
  })
  on(app, 'POST', '/images/prune', async (call) => {
    const { deleted, reclaimed } = await images.prune(filtersOf(call.query, PRUNE_FILTERS))
    return sendJson(call.reply, {
      ImagesDeleted: deleted.length === 0 ? null : deleted.map(deletedJson),
      SpaceReclaimed: reclaimed,
    })
  })
  on(app, 'GET', '/images/get', (call) => save(call, images, call.query.getAll('names')))
  on(app, 'POST', '/commit', (call) => commit(call, images))
  on(app, 'DELETE', '/images/*', async (call) => {
    const options = { force: flagOf(call.query, 'force'), noPrune: flagOf(call.query, 'noprune') }
    const name = checkImageRef(call.param('*'))
    await checkPlatforms(call, images, name)
    return sendJson(call.reply, (await images.remove(name, options)).map(deletedJson))
  })
  namedRoutes({ app }, images)
}

function namedRoutes({ app }: Pick<Room, 'app'>, images: Images): void {
  on(app, 'GET', '/images/*', async (call) => {
    const { name, action } = splitName(call.param('*'))
    await checkPlatforms(call, images, name)
    if (action === 'json') {
      const options = { containerConfig: wantsContainerConfig(call.header('user-agent')) }
      return sendJson(call.reply, imageJson(await images.inspect(name), call.minor, options))
    }
    if (action === 'history') return sendJson(call.reply, (await images.history(name)).map(historyJson))
    if (action === 'get') return save(call, images, [name])
    throw new DewarError('not-found', 'page not found')
  })
  on(app, 'POST', '/images/*', async (call) => {
    const { name, action } = splitName(call.param('*'))
    if (action === 'push') {
      await checkPlatforms(call, images, name)
      return push(call, images, name)
    }
    if (action === 'tag') {
      await images.tag(name, target(call))
      return sendEmpty(call.reply, 201)
    }
    throw new DewarError('not-found', 'page not found')
  })
}

/** "a/b:c/json" → a/b:c, json */
function splitName(path: string): { name: string; action: string } {
  const cut = path.lastIndexOf('/')
  if (cut <= 0) throw new DewarError('not-found', 'page not found')
  return { name: checkImageRef(path.slice(0, cut)), action: path.slice(cut + 1) }
}

/** `repo` and `tag` as one reference; throws when there is no repo. */
function target(call: Call): string {
  const reference = referenceOf(call)
  if (reference === undefined) throw new DewarError('invalid-argument', 'invalid reference format')
  return reference
}

function referenceOf({ query }: Call): string | undefined {
  const repo = textOf(query, 'repo')
  const tag = textOf(query, 'tag')
  return repo === undefined ? undefined : checkImageRef(tag === undefined ? repo : `${repo}:${tag}`)
}

async function list(call: Call, { images, containers }: EngineApi): Promise<FastifyReply> {
  const { query, reply, minor } = call
  const sharedSize = flagOf(query, 'shared-size')
  const found = await images.list({
    all: flagOf(query, 'all'),
    filters: filtersOf(query, LIST_FILTERS),
    sharedSize,
  })
  const all = { all: true, limit: -1, size: false, filters: new Map<string, readonly string[]>() }
  const rows = minor < 51 ? found : counted(found, await containers.list(all))
  const use = layerUse(rows)
  const sharedOf = (image: ImageView): number => (sharedSize ? use.sharedOf(image) : -1)
  return sendJson(
    reply,
    rows.map((image) =>
      imageSummaryJson(image, minor, { counted: sharedSize || minor >= 51, shared: sharedOf(image) }),
    ),
  )
}

function pull(call: Call, images: Images): Promise<FastifyReply> {
  const { query } = call
  const name = checkImageRef(textOf(query, 'fromImage') ?? '')
  const tag = textOf(query, 'tag')
  const auth = parseAuthHeader(call.header('x-registry-auth'))
  const platform = textOf(query, 'platform')
  return sendProgress(call.reply, (onProgress, signal) =>
    images.pull(checkImageRef(withTag(name, tag)), {
      ...(platform === undefined ? {} : { platform }),
      ...(auth === undefined ? {} : { auth }),
      allTags: tag === undefined && isNameOnly(name),
      onProgress,
      signal,
    }),
  )
}

/** `tag` may be a digest, and replaces the tag that the name may have. */
function withTag(name: string, tag: string | undefined): string {
  if (tag === undefined) return name
  const bare = name.replace(/@.*$/, '').replace(/:[^/:]*$/, '')
  return tag.includes(':') ? `${bare}@${tag}` : `${bare}:${tag}`
}

function isNameOnly(name: string): boolean {
  return !name.includes('@') && !/:[^/]*$/.test(name)
}

async function importImage(call: Call, images: Images): Promise<FastifyReply> {
  const { query } = call
  const source = textOf(query, 'fromSrc')
  if (source === undefined)
    throw new DewarError('invalid-argument', 'one of fromImage and fromSrc must be given')
  if (source !== '-') {
    throw new DewarError('not-implemented', `cannot import from ${source}: the engine fetches no URLs`, {
      remedy: 'pipe it: curl URL | docker import -',
    })
  }
  const reference = referenceOf(call)
  // As dockerd: without a message it says where it came from.
  const message = textOf(query, 'message') ?? `Imported from ${source}`
  const platform = textOf(query, 'platform')
  const tar = call.request.raw
  return sendProgress(call.reply, async (onProgress) => {
    const id = await images.import(tar, {
      ...(reference === undefined ? {} : { reference }),
      message,
      ...(platform === undefined ? {} : { platform }),
      changes: query.getAll('changes'),
      onProgress,
    })
    return { status: id }
  })
}

function push(call: Call, images: Images, name: string): Promise<FastifyReply> {
  const tag = textOf(call.query, 'tag')
  const auth = parseAuthHeader(call.header('x-registry-auth'))
  return sendProgress(call.reply, (onProgress, signal) =>
    images.push(name, {
      ...(tag === undefined ? {} : { tag }),
      ...(auth === undefined ? {} : { auth }),
      onProgress,
      signal,
    }),
  )
}

async function save(call: Call, images: Images, names: readonly string[]): Promise<FastifyReply> {
  const refs = names.flatMap((name) => name.split(',')).filter((name) => name !== '')
  if (refs.length === 0) throw new DewarError('invalid-argument', 'no images named to save')
  for (const ref of refs) await checkPlatforms(call, images, checkImageRef(ref))
  return sendStream(call.reply, await images.save(refs.map(checkImageRef)), 'application/x-tar')
}

/** With `quiet`, only what says the outcome. */
function withoutBars(onProgress: OnProgress): OnProgress {
  return (progress) => {
    if (progress.progressDetail === undefined) onProgress(progress)
  }
}

async function commit(call: Call, images: Images): Promise<FastifyReply> {
  const { query } = call
  const reference = referenceOf(call)
  const body = await call.json()
  const id = await images.commit(checkRef(textOf(query, 'container') ?? ''), {
    ...(reference === undefined ? {} : { reference }),
    comment: query.get('comment') ?? '',
    author: query.get('author') ?? '',
    pause: flagOf(query, 'pause', true),
    changes: query.getAll('changes'),
    ...(body === undefined || body === null ? {} : { config: CONFIG.decode(body) }),
  })
  return sendJson(call.reply, { Id: id }, 201)
}
