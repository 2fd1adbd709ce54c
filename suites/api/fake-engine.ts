/**
 * An engine in memory for tests of the protocol alone: routing, parsing, streams. What a call does not need throws,
 * so that a test cannot pass on an answer nobody wrote.
 */
import type { Server } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { DewarError } from '../../src/base/errors.ts'
import { createApiServer } from '../../src/api/server.ts'
import type { EngineApi } from '../../src/engine/types.ts'

type Parts<T> = { [K in keyof T]?: Partial<T[K]> }

/** Every method not given throws not-found, the most common answer of a real engine to a made-up name. */
export function fakeEngine(
  parts: Parts<EngineApi> & Partial<Pick<EngineApi, 'info' | 'auth' | 'events'>> = {},
): EngineApi {
  const absent = async (): Promise<never> => {
    throw new DewarError('not-found', 'No such object')
  }
  const { containers, execs, images, builds, volumes, networks } = parts
  return {
    containers: {
      list: async () => [],
      create: absent,
      inspect: absent,
      start: absent,
      stop: absent,
      restart: absent,
      kill: absent,
      pause: absent,
      unpause: absent,
      rename: absent,
      update: absent,
      remove: absent,
      prune: async () => ({ deleted: [], reclaimed: 0 }),
      wait: absent,
      attach: absent,
      logs: absent,
      resize: absent,
      top: absent,
      stats: absent,
      changes: absent,
      export: absent,
      archiveGet: absent,
      archiveStat: absent,
      archivePut: absent,
      ...containers,
    },
    execs: { create: absent, start: absent, resize: absent, inspect: absent, ...execs },
    images: {
      list: async () => [],
      inspect: absent,
      history: absent,
      pull: absent,
      push: absent,
      distribution: absent,
      search: absent,
      tag: absent,
      remove: absent,
      prune: async () => ({ deleted: [], reclaimed: 0 }),
      save: async () => Readable.from(['tar']),
      load: absent,
      import: absent,
      commit: absent,
      ...images,
    },
    builds: { build: absent, prune: async () => ({ reclaimed: 0 }), ...builds },
    volumes: {
      list: async () => [],
      create: absent,
      inspect: absent,
      remove: absent,
      prune: async () => ({ deleted: [], reclaimed: 0 }),
      ...volumes,
    },
    networks: {
      list: async () => [],
      inspect: absent,
      create: absent,
      remove: absent,
      connect: absent,
      disconnect: absent,
      prune: async () => ({ deleted: [] }),
      ...networks,
    },
    info: parts.info ?? absent,
    auth: parts.auth ?? absent,
    events: parts.events ?? async function* () {},
  }
}

export interface Served extends AsyncDisposable {
  readonly socketPath: string
  readonly server: Server
}

/** The API on a socket of its own. */
export async function serve(engine: EngineApi): Promise<Served> {
  const folder = await mkdtemp(join(tmpdir(), 'dwt-api-'))
  const socketPath = join(folder, 's')
  const server = await createApiServer(engine, { version: '9.9.9', commit: 'abc', built: 0 })
  const connections = new Set<Socket>()
  server.on('connection', (socket: Socket) => connections.add(socket))
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  return {
    socketPath,
    server,
    async [Symbol.asyncDispose]() {
      // Those that were taken over, too: one left by a test that failed would keep the file from ending.
      for (const socket of connections) socket.destroy()
      server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
