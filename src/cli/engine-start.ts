import { spawn } from 'node:child_process'
import { mkdir, open, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ClientError, connect, parseAddress } from '../client/connect.ts'
import type { Client } from '../client/connect.ts'
import { defaultRunFolder } from './engine-place.ts'
import type { EnginePlace } from './engine-place.ts'
import { Failure } from './failure.ts'
import { daemonProgram } from './package-root.ts'

/** A cold engine is up in well under a second; this is for a machine on its knees. */
const START_LIMIT_MS = 20_000
const RETRY_MS = 15
const LOG_LINES = 8

/** Connects; where nothing answers at a place that is ours, starts the engine and connects then. */
export async function connectOrStart(place: EnginePlace): Promise<Client> {
  try {
    return await connect({ socket: place.host })
  } catch (error) {
    if (!(error instanceof ClientError) || !error.unreachable || !place.startable) throw error
  }
  return startEngine(place)
}

async function startEngine(place: EnginePlace): Promise<Client> {
  if (process.getuid?.() !== 0) {
    throw new Failure(
      `Cannot connect to the engine at ${place.host}: none runs there, and starting one needs root (use sudo, or DEWAR_HOST for an engine you may use)`,
    )
  }
  const run = place.run ?? runFolderOf(place)
  const logPath = join(run, 'engine.log')
  await mkdir(run, { recursive: true, mode: 0o711 })
  const log = await open(logPath, 'a', 0o600)
  const logStart = (await log.stat()).size
  // Detached and unreferenced: the engine is a session of its own and outlives this command.
  const child = spawn(process.execPath, [daemonProgram(), ...daemonArguments(place)], {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    cwd: '/',
  })
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `it ended with exit code ${code}` : `it was killed by ${signal}`),
    )
  })
  await log.close()
  child.unref()
  const client = await answered(place.host, ended)
  if (typeof client !== 'string') return client
  throw new Failure(await story(place.host, client, logPath, logStart))
}

export function daemonArguments(place: EnginePlace): string[] {
  return [
    ...(place.root === undefined ? [] : ['--root', place.root]),
    ...(place.run === undefined ? [] : ['--run', place.run]),
    '-H',
    place.host,
  ]
}

/** The client, or why there is none. Another command may have started an engine too: whoever answers is right. */
async function answered(host: string, ended: Promise<string>): Promise<Client | string> {
  let problem: string | undefined
  void ended.then((text) => (problem = text))
  const deadline = Date.now() + START_LIMIT_MS
  while (Date.now() < deadline) {
    try {
      return await connect({ socket: host })
    } catch (error) {
      if (!(error instanceof ClientError) || error.status !== 0) throw error
    }
    if (problem !== undefined) return problem
    await delay(RETRY_MS)
  }
  return `it did not answer within ${START_LIMIT_MS / 1000} seconds`
}

async function story(host: string, problem: string, logPath: string, from: number): Promise<string> {
  const log = (await readFile(logPath).catch(() => Buffer.alloc(0))).subarray(from).toString('utf8')
  const lines = log
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '')
    .slice(-LOG_LINES)
  const shown = lines.length === 0 ? '' : `\n${lines.map((line) => `  ${line}`).join('\n')}`
  return `starting the engine at ${host} failed: ${problem} (its log is ${logPath})${shown}`
}

function runFolderOf(place: EnginePlace): string {
  const address = parseAddress(place.host)
  return address.kind === 'unix' && place.root !== undefined
    ? dirname(address.path)
    : defaultRunFolder(process.env)
}
