/** What flows: attach and exec without an upgrade, logs, stats, wait, export, archives. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import { DewarError, messageOf } from '../base/errors.ts'
import type { Containers, EngineApi, PathStat, Stats, WaitCondition } from '../engine/types.ts'
import { attachContainer, startExec } from './attach.ts'
import type { Attached } from './attach.ts'
import { answerFor } from './error-answer.ts'
import { rfc3339Nano } from './go-time.ts'
import { pauseAfterHeaders } from './client-quirks.ts'
import { streamAsBody, streamType } from './hijack.ts'
import { flagOf, textOf, timeOf } from './query.ts'
import { abortOnClose, sendEmpty, sendJson, sendStream } from './respond.ts'
import { idOf } from './route-containers.ts'
import { on } from './route.ts'
import type { Call, Room } from './route.ts'
import { statsJson } from './stats-view.ts'

const STATS_INTERVAL_MS = 1000
const CONDITIONS: readonly WaitCondition[] = ['not-running', 'next-exit', 'removed']

export function streamRoutes({ app, engine }: Room): void {
  const { containers } = engine
  on(app, 'POST', '/containers/:id/attach', async (call) =>
    sendAttached(
      call,
      await attachContainer(engine, call.param('id'), call.query, call.header('user-agent')),
    ),
  )
  on(app, 'POST', '/exec/:id/start', async (call) =>
    sendAttached(call, await startExec(engine, call.param('id'), await call.json())),
  )
  on(app, 'GET', '/containers/:id/logs', (call) => logs(call, containers))
  on(app, 'GET', '/containers/:id/stats', (call) => stats(call, engine))
  on(app, 'POST', '/containers/:id/wait', (call) => wait(call, containers))
  on(app, 'GET', '/containers/:id/export', async (call) =>
    sendStream(call.reply, await containers.export(idOf(call)), 'application/octet-stream'),
  )
  on(app, 'HEAD', '/containers/:id/archive', async (call) => {
    const stat = await containers.archiveStat(idOf(call), pathOf(call))
    return sendEmpty(call.reply.header('x-docker-container-path-stat', statHeader(stat)), 200)
  })
  on(app, 'GET', '/containers/:id/archive', async (call) => {
    const { stat, stream } = await containers.archiveGet(idOf(call), pathOf(call))
    call.reply.raw.setHeader('X-Docker-Container-Path-Stat', statHeader(stat))
    return sendStream(call.reply, stream, 'application/x-tar')
  })
  on(app, 'PUT', '/containers/:id/archive', async (call) => {
    await containers.archivePut(idOf(call), pathOf(call), call.request.raw, {
      noOverwriteDirNonDir: flagOf(call.query, 'noOverwriteDirNonDir'),
      copyUidGid: flagOf(call.query, 'copyUIDGID'),
    })
    return sendEmpty(call.reply, 200)
  })
}

function sendAttached(call: Call, { stream }: Attached): FastifyReply {
  const { reply } = call
  if (stream === undefined) return sendEmpty(reply, 200)
  const pause = pauseAfterHeaders(call.header('user-agent'))
  streamAsBody(reply.hijack().raw, stream, pause)
  return reply
}

function pathOf(call: Call): string {
  const path = textOf(call.query, 'path')
  if (path === undefined) throw new DewarError('invalid-argument', 'bad parameter: path cannot be empty')
  if (path.includes('\0'))
    throw new DewarError('invalid-argument', 'bad parameter: path contains a null byte')
  return path
}

function statHeader(stat: PathStat): string {
  const { name, size, mode, mtime, linkTarget } = stat
  return Buffer.from(JSON.stringify({ name, size, mode, mtime: rfc3339Nano(mtime), linkTarget })).toString(
    'base64',
  )
}

async function logs(call: Call, containers: Containers): Promise<FastifyReply> {
  const { query, reply, minor } = call
  const stdout = flagOf(query, 'stdout')
  const stderr = flagOf(query, 'stderr')
  if (!stdout && !stderr)
    throw new DewarError('invalid-argument', 'Bad parameters: you must choose at least one stream')
  const follow = flagOf(query, 'follow')
  const request = {
    follow,
    stdout,
    stderr,
    since: timeOf(query, 'since') ?? 0,
    until: timeOf(query, 'until') ?? 0,
    timestamps: flagOf(query, 'timestamps'),
    details: flagOf(query, 'details'),
    tail: tailOf(query),
  }
  const { stream, tty } = await containers.logs(idOf(call), request, abortOnClose(reply.raw))
  return sendStream(reply, stream, streamType(tty, minor), { eager: follow })
}

/** "all", nothing, and what is no number mean all. */
function tailOf(query: URLSearchParams): number {
  const tail = query.get('tail') ?? 'all'
  return /^\d{1,15}$/.test(tail) ? Number(tail) : -1
}

/** Headers go out as soon as the wait is armed: `docker run` starts the container only when it has them. */
async function wait(call: Call, containers: Containers): Promise<FastifyReply> {
  // Before API 1.30 there was one way to wait.
  const asked = (call.minor < 30 ? undefined : textOf(call.query, 'condition')) ?? 'not-running'
  const condition = CONDITIONS.find((known) => known === asked)
  if (condition === undefined)
    throw new DewarError('invalid-argument', `invalid condition: ${JSON.stringify(asked)}`)
  const { result } = await containers.wait(idOf(call), condition)
  const response = call.reply.hijack().raw
  response.setHeader('Content-Type', 'application/json')
  response.flushHeaders()
  // From API 1.42 on it is left out.
  const noError = call.minor < 42 ? { Error: null } : {}
  const body = await result.then(
    // After a removal dockerd tells only what went wrong with that: why a start failed, `start` itself has said.
    ({ code, error = '' }) => ({
      ...(error === '' || condition === 'removed' ? noError : { Error: { Message: error } }),
      StatusCode: code,
    }),
    (error: unknown) => ({ Error: { Message: answerFor(error).message }, StatusCode: 1 }),
  )
  if (!response.destroyed) response.end(`${JSON.stringify(body)}\n`)
  return call.reply
}

/** Once with `stream=0`, else each second until the container is removed or the client leaves. */
async function stats(call: Call, engine: EngineApi): Promise<FastifyReply> {
  const id = idOf(call)
  const { query, reply } = call
  const view = await engine.containers.inspect(id)
  const name = view.name
  const sample = async (): Promise<Stats | undefined> => {
    const { state } = await engine.containers.inspect(view.id)
    return state.running ? engine.containers.stats(view.id) : undefined
  }
  const signal = abortOnClose(reply.raw)
  const stream = flagOf(query, 'stream', true)
  const oneShot = flagOf(query, 'one-shot')
  if (stream && oneShot) throw new DewarError('invalid-argument', 'cannot have stream=true and one-shot=true')
  if (!stream) {
    const before = oneShot ? undefined : await sample()
    if (before !== undefined) await pause(signal)
    return sendJson(reply, statsJson({ id: view.id, name, now: await sample(), before }))
  }
  const response = reply.hijack().raw
  response.setHeader('Content-Type', 'application/json')
  response.flushHeaders()
  let before: Stats | undefined
  try {
    while (!signal.aborted) {
      const now = await sample()
      // A client that does not read gets fewer samples, not older ones.
      if (response.writableLength === 0)
        response.write(`${JSON.stringify(statsJson({ id: view.id, name, now, before }))}\n`)
      before = now
      await pause(signal)
    }
  } catch (error) {
    if (!(error instanceof DewarError && error.code === 'not-found'))
      process.stderr.write(`stats of ${name} ended: ${messageOf(error)}\n`)
  }
  response.end()
  return reply
}

async function pause(signal: AbortSignal): Promise<void> {
  // Rejects only when aborted, which the caller looks at.
  await sleep(STATS_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
}
