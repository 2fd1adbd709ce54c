/** Clients on a container's standard streams: before it starts, while it runs, several at once. */
import { Duplex, PassThrough, type Readable } from 'node:stream'
import { DewarError } from '../base/errors.ts'
import type { Shim, ShimProcess } from '../kernel/core-api.ts'
import type { Container, PendingAttach } from './container.ts'
import { DetachFilter, parseDetachKeys } from './detach-keys.ts'
import { LateStream } from './late-stream.ts'
import { readLogs } from './logs.ts'
import { eventAttributes, type Services } from './services.ts'
import type { AttachRequest } from './types.ts'

export async function attachTo(
  services: Services,
  container: Container,
  request: AttachRequest,
): Promise<{ stream: Duplex; tty: boolean }> {
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
  const tty = container.record.config.tty
  services.bus.emit('container', 'attach', container.id, eventAttributes(container))
  const detached = (): void =>
    services.bus.emit('container', 'detach', container.id, eventAttributes(container))
  const live = request.stream ? await liveStream(container, request) : ended()
  const stream = request.stdin && tty ? withDetachKeys(live, request.detachKeys, detached) : live
  return { stream: request.logs ? withLogs(container, request, stream) : stream, tty }
}

async function liveStream(container: Container, request: AttachRequest): Promise<Duplex> {
  const running = container.running
  if (running !== undefined) return connect(running.shim, container, request)
  const stream = new LateStream()
  const pending: PendingAttach = { request, stream }
  container.pendingAttaches.add(pending)
  stream.once('close', () => container.pendingAttaches.delete(pending))
  return stream
}

function connect(process: Shim | ShimProcess, container: Container, request: AttachRequest): Promise<Duplex> {
  const { stdin, stdout, stderr } = request
  return process.attach({ stdin: stdin && container.record.config.openStdin, stdout, stderr }).then(patient)
}

/** Output is held back until all of these are connected; one whose client has left is connected and let go. */
export async function connectPending(container: Container, shim: Shim): Promise<void> {
  const pendings = new Set([...container.expectedAttaches, ...container.pendingAttaches])
  container.expectedAttaches = []
  container.pendingAttaches.clear()
  await Promise.all(
    [...pendings].map(async ({ request, stream }) => {
      // It runs, whatever becomes of this client: a failure here is the end of its stream, not of the start.
      const live = await connect(shim, container, request).catch(() => undefined)
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
  return patient(Duplex.from({ readable: output, writable: filter }))
}

/** What was logged until now, then what comes. A line of this very millisecond may be told twice, none is missing. */
function withLogs(container: Container, request: AttachRequest, live: Duplex): Duplex {
  const { stdout, stderr } = request
  const past = readLogs(
    { path: container.paths.log, tty: container.record.config.tty, ended: undefined },
    {
      follow: false,
      stdout,
      stderr,
      since: 0,
      until: Date.now() + 1,
      timestamps: false,
      details: false,
      tail: -1,
    },
    new AbortController().signal,
  )
  return patient(Duplex.from({ readable: inTurn(past, live), writable: live }))
}

/**
 * A client that goes away makes Node's joined streams emit an AbortError; without a listener that would end the
 * engine. Whoever has the stream may listen too.
 */
export function patient<T extends Duplex>(stream: T): T {
  return stream.on('error', () => undefined)
}

async function* inTurn(first: Readable, second: Readable): AsyncGenerator<Buffer> {
  yield* first
  yield* second
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
