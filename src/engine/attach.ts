/** Clients on a container's standard streams: before it starts, while it runs, several at once. */
import { Duplex, PassThrough } from 'node:stream'
import { DewarError, errnoOf } from '../base/errors.ts'
import type { Shim } from '../kernel/core-api.ts'
import { ShimGone } from '../kernel/shim-control.ts'
import type { Container, PendingAttach } from './container.ts'
import { DetachFilter, parseDetachKeys } from './detach-keys.ts'
import { LateStream } from './late-stream.ts'
import { endOfLog, type LogPosition } from './log-files.ts'
import { checkReadable } from './log-driver.ts'
import { patient, replay } from './replay.ts'
import { eventAttributes, type Services } from './services.ts'
import type { AttachRequest } from './types.ts'

export async function attachTo(
  services: Services,
  container: Container,
  request: AttachRequest,
): Promise<{ stream: Duplex; tty: boolean }> {
  parseDetachKeys(request.detachKeys ?? '')
  if (container.paused) {
    throw new DewarError(
      'conflict',
      `container ${container.id} is paused, unpause the container before attach`,
    )
  }
  if (container.live.kind === 'restarting') {
    throw new DewarError(
      'conflict',
      `container ${container.id} is restarting, wait until the container is running`,
    )
  }
  if (request.logs) checkReadable(container)
  const tty = container.record.config.tty
  services.bus.emit('container', 'attach', container.id, eventAttributes(container))
  const detached = (): void =>
    services.bus.emit('container', 'detach', container.id, eventAttributes(container))
  const live = request.stream ? await liveStream(container, request) : replayThen(container, request, ended())
  return { stream: request.stdin && tty ? withDetachKeys(live, request.detachKeys, detached) : live, tty }
}

async function liveStream(container: Container, request: AttachRequest): Promise<Duplex> {
  const running = container.running
  if (running === undefined) return lateStream(container, request)
  try {
    return await connect(running.shim, container, request, undefined)
  } catch (error) {
    if (!isGone(error)) throw error
    // It has ended in the meantime, and its log is whole.
    await running.ended
    return replayThen(container, request, ended())
  }
}

function lateStream(container: Container, request: AttachRequest): Duplex {
  const stream = new LateStream()
  const replayed = request.logs ? endOfLog(container.paths.log) : undefined
  const pending: PendingAttach = { request, stream, replayed }
  container.pendingAttaches.add(pending)
  stream.once('close', () => container.pendingAttaches.delete(pending))
  return replayed === undefined ? stream : replay(container, request, { to: replayed }, stream)
}

/** With `logs` the shim says where the log stood when the stream began: nothing is missing, nothing comes twice. */
async function connect(
  shim: Shim,
  container: Container,
  request: AttachRequest,
  replayed: LogPosition | undefined,
): Promise<Duplex> {
  const { stdout, stderr } = request
  const wanted = { stdin: request.stdin && container.record.config.openStdin, stdout, stderr }
  if (!request.logs) return patient(await shim.attach(wanted))
  const { stream, logged } = await shim.attachAfterLog(wanted)
  const range = replayed === undefined ? { to: logged } : { from: replayed, to: logged }
  return replay(container, request, range, patient(stream), logged.unfinished)
}

/** Output is held back until all of these are connected; one whose client has left is connected and let go. */
export async function connectPending(container: Container, shim: Shim): Promise<void> {
  const pendings = new Set([...container.expectedAttaches, ...container.pendingAttaches])
  container.expectedAttaches = []
  container.pendingAttaches.clear()
  await Promise.all(
    [...pendings].map(async ({ request, stream, replayed }) => {
      // It runs, whatever becomes of this client: a failure here is the end of its stream, not of the start.
      const live = await connect(shim, container, request, replayed).catch(() => undefined)
      if (live === undefined) stream.abandon()
      else stream.connect(live)
    }),
  )
}

export function abandonPending(container: Container): void {
  for (const { stream } of container.pendingAttaches) stream.abandon()
  container.pendingAttaches.clear()
  container.expectedAttaches = []
}

/** Input passes the filter; when the keys were typed the client's side ends and the container's stays open. */
export function withDetachKeys(live: Duplex, keys: string | undefined, onDetach: () => void): Duplex {
  const output = patient(new PassThrough())
  const filter = new DetachFilter(parseDetachKeys(keys ?? ''), () => {
    onDetach()
    output.end()
    live.destroy()
  })
  live.pipe(output)
  live.once('close', () => output.end())
  filter.pipe(live)
  const joined = patient(Duplex.from({ readable: output, writable: filter }))
  // Pipes do not carry this back: a client that vanished would keep its connection to the shim until the end.
  joined.once('close', () => live.destroy())
  return joined
}

/** Of a container that nobody writes for: its log, if that is asked for, then `last`. */
function replayThen(container: Container, request: AttachRequest, last: Duplex): Duplex {
  return request.logs ? replay(container, request, { to: endOfLog(container.paths.log) }, last) : last
}

/** The shim's socket is not there any more, or does not answer: the run is over. */
function isGone(error: unknown): boolean {
  return (
    error instanceof ShimGone ||
    ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(errnoOf(error) ?? '')
  )
}

function ended(): Duplex {
  return new Duplex({
    read() {
      this.push(null)
    },
    write(_chunk, _encoding, done) {
      done()
    },
  })
}
