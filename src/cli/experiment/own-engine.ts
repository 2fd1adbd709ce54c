import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DewarError } from '../../base/errors.ts'
import type { Client } from '../../client/connect.ts'
import { connect } from '../../client/connect.ts'
import { packageRoot } from '../package-root.ts'
import { freeSubnet } from './free-address.ts'

interface Place {
  readonly folder: string
  readonly socket: string
  readonly bridge: string
  readonly subnet: string
}

/** An engine of our own, that goes with all it has made when it is disposed of. */
export interface OwnEngine extends Place, AsyncDisposable {
  readonly client: Client
}

const READY_MS = 20_000
const STOP_MS = 10_000

/** Starts `dewar engine` with its own folders, socket, bridge and subnet. Throws unavailable with the end of its log. */
export async function startOwnEngine(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<OwnEngine> {
  // Rather not /tmp: that may be a tmpfs, and images would lie in memory.
  const folder = await mkdtemp(join(existsSync('/var/tmp') ? '/var/tmp' : tmpdir(), 'dewar-experiment-'))
  const socket = join(folder, 'dewar.sock')
  const place = { folder, socket, bridge: `dwx${randomBytes(3).toString('hex')}`, subnet: await freeSubnet() }
  const child = spawnEngine(place, env['DEWAR_REGISTRY_MIRROR'])
  try {
    const client = await whenReady(child, place, signal)
    return { ...place, client, [Symbol.asyncDispose]: () => dispose(child, place, client) }
  } catch (error) {
    await dispose(child, place)
    throw error
  }
}

async function dispose(child: ChildProcess, place: Place, client?: Client): Promise<void> {
  client?.close()
  await stop(child)
  await rm(place.folder, { recursive: true, force: true })
}

function spawnEngine(place: Place, mirror: string | undefined): ChildProcess {
  const log = openSync(join(place.folder, 'engine.log'), 'a')
  const args = ['engine', '--root', join(place.folder, 'root'), '--run', join(place.folder, 'run')]
  args.push('-H', `unix://${place.socket}`, '--bridge', place.bridge, '--subnet', place.subnet)
  if (mirror !== undefined) args.push('--registry-mirror', mirror)
  try {
    // Its own session: Ctrl-C is for us, who stop the container before the engine.
    return spawn(process.execPath, [join(packageRoot(), 'bin', 'dewar'), ...args], {
      detached: true,
      stdio: ['ignore', log, log],
    })
  } finally {
    closeSync(log)
  }
}

async function whenReady(child: ChildProcess, place: Place, signal: AbortSignal): Promise<Client> {
  const deadline = Date.now() + READY_MS
  for (;;) {
    signal.throwIfAborted()
    const client = await connect({ socket: place.socket }).catch(() => undefined)
    if (client !== undefined) return client
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      throw new DewarError('unavailable', `the engine did not start: ${await lastLines(place.folder)}`)
    }
    await sleep(20)
  }
}

async function lastLines(folder: string): Promise<string> {
  const log = await readFile(join(folder, 'engine.log'), 'utf8').catch(() => '')
  // A defect's stack is for its log, not for the reader.
  const lines = log
    .trim()
    .split('\n')
    .filter((line) => !/^\s+at /.test(line))
  return lines.slice(-5).join('\n') || 'it said nothing'
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const hurry = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await gone
  clearTimeout(hurry)
}
