/** The engine process: opens the engine, serves its API, goes on SIGTERM and leaves the containers running. */
import { readFileSync, realpathSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import { fileURLToPath } from 'node:url'
import { createApiServer } from '../api/server.ts'
import type { Product } from '../api/system-view.ts'
import { DewarError, errnoOf, messageOf } from '../base/errors.ts'
import { Engine } from '../engine/engine.ts'
import { resolveOptions } from '../engine/options.ts'
import { compileEarly } from './compile-early.ts'
import { lockFolder } from './lock.ts'
import { parseDaemonOptions } from './options.ts'
import { clearStaleSocket, listenOn } from './socket.ts'
import { listenOnTcp, secureServer, type TcpAddress, type TlsFiles } from './tls.ts'

/** Requests that are under way get this long after SIGTERM; streams such as events never end by themselves. */
const GRACE_MS = 500

/** Runs until a signal; resolves with the exit code. */
export async function runDaemon(argv: readonly string[]): Promise<number> {
  compileEarly()
  try {
    await serve(argv)
    return 0
  } catch (error) {
    say(messageOf(error))
    if (!(error instanceof DewarError) && error instanceof Error) say(error.stack ?? '')
    return error instanceof DewarError ? error.exitCode : 1
  }
}

async function serve(argv: readonly string[]): Promise<void> {
  const { engine: options, sockets, tcp, tls } = parseDaemonOptions(argv, process.env)
  const stopped = stopSignal()
  // The root is the engine's own to lock, without a file: it must open on a full disk, where removing frees space.
  await using _run = await lockFolder(resolveOptions(options).run, 'run folder')
  // Before the engine makes bridges and processes for nothing.
  for (const path of sockets) await clearStaleSocket(path)
  await using engine = await Engine.open(options)
  const servers: (Server | SecureServer)[] = []
  for (const path of sockets) {
    const server = await createApiServer(engine, product())
    await listenOn(server, path)
    servers.push(server)
    say(`listening on unix://${path}`)
  }
  if (tls !== undefined) servers.push(...(await serveTcp(engine, tcp, tls)))
  await stopped
  await Promise.all(servers.map(close))
  await Promise.all(sockets.map(removeSocket))
}

async function serveTcp(
  engine: Engine,
  addresses: readonly TcpAddress[],
  tls: TlsFiles,
): Promise<SecureServer[]> {
  return Promise.all(
    addresses.map(async (address) => {
      const server = secureServer(await createApiServer(engine, product()), tls)
      await listenOnTcp(server, address)
      say(`listening on tcp://${address.host}:${address.port} for clients with a certificate`)
      return server
    }),
  )
}

/** Registered before anything is opened, so that an early signal is not lost. A hangup is no reason to stop. */
function stopSignal(): Promise<void> {
  process.on('SIGHUP', () => undefined)
  // Standard error may be a pipe whose reader went away.
  process.stderr.on('error', () => undefined)
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve())
  })
}

async function close(server: Server | SecureServer): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), GRACE_MS)
  // Attached connections are no longer the server's, so its close may never come.
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, GRACE_MS + 200))])
  clearTimeout(timer)
}

async function removeSocket(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    // Node removes it when the server closes.
    if (errnoOf(error) !== 'ENOENT') say(`removing ${path} failed: ${messageOf(error)}`)
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** The version stands in package.json, above the compiled tree or the bundle. */
function product(): Product {
  for (const up of ['../../..', '../..', '..']) {
    const found = readVersion(new URL(`${up}/package.json`, import.meta.url))
    if (found !== undefined) return { version: found, commit: '', built: 0 }
  }
  return { version: '0.0.0', commit: '', built: 0 }
}

function readVersion(file: URL): string | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof parsed !== 'object' || parsed === null || !('name' in parsed) || parsed.name !== 'dewar')
      return undefined
    return 'version' in parsed && typeof parsed.version === 'string' ? parsed.version : undefined
  } catch {
    return undefined
  }
}

// Node resolves links of the module's path and not of argv.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  // Attached clients would keep the process alive; their containers go on without it.
  process.exit(await runDaemon(process.argv.slice(2).filter((arg, index) => index > 0 || arg !== 'engine')))
}
