/**
 * Credentials from the user's Docker configuration: `config.json` with `auths`, `credsStore` and `credHelpers`.
 * For the client side: the engine is given credentials with each request and reads no home.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { DewarError, errnoOf, messageOf } from '../base/errors.ts'

export interface StoredCredentials {
  readonly username?: string
  readonly password?: string
  readonly identityToken?: string
  readonly serverAddress: string
}

const CONFIG = z.looseObject({
  auths: z
    .record(
      z.string(),
      z.looseObject({
        auth: z.string().optional(),
        username: z.string().optional(),
        password: z.string().optional(),
        identitytoken: z.string().optional(),
      }),
    )
    .optional(),
  credsStore: z.string().optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
})
type Config = z.infer<typeof CONFIG>

const HUB_SERVER = 'https://index.docker.io/v1/'

/** For the registry `domain` ("docker.io", "localhost:5000"); undefined when none are stored. */
export async function storedCredentials(
  domain: string,
  folder: string = process.env['DOCKER_CONFIG'] ?? join(homedir(), '.docker'),
): Promise<StoredCredentials | undefined> {
  const config = await readConfig(join(folder, 'config.json'))
  if (config === undefined) return undefined
  const server = domain === 'docker.io' ? HUB_SERVER : domain
  const helper = config.credHelpers?.[domain] ?? config.credHelpers?.[server] ?? config.credsStore
  if (helper !== undefined && helper !== '') {
    const found = await askHelper(helper, server)
    if (found !== undefined) return found
  }
  return fromAuths(config, server)
}

async function readConfig(path: string): Promise<Config | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw new DewarError('system', `Reading ${path} failed: ${messageOf(error)}`, { cause: error })
  }
  try {
    return CONFIG.parse(JSON.parse(text))
  } catch (error) {
    throw new DewarError('invalid-argument', `Reading ${path} failed: ${messageOf(error)}`, {
      cause: error,
      remedy: 'repair the file, or set DOCKER_CONFIG to another folder',
    })
  }
}

/** Keys were written as hosts and as URLs over the years. */
function fromAuths(config: Config, server: string): StoredCredentials | undefined {
  const host = hostOf(server)
  const entries = Object.entries(config.auths ?? {})
  const entry = (entries.find(([key]) => key === server) ??
    entries.find(([key]) => hostOf(key) === host))?.[1]
  if (entry === undefined) return undefined
  const decoded = Buffer.from(entry.auth ?? '', 'base64')
    .toString('utf8')
    .replace(/\0+$/, '')
  const colon = decoded.indexOf(':')
  const username = entry.username ?? (colon < 0 ? undefined : decoded.slice(0, colon))
  const password = entry.password ?? (colon < 0 ? undefined : decoded.slice(colon + 1))
  if (username === undefined && entry.identitytoken === undefined) return undefined
  return {
    serverAddress: server,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(entry.identitytoken === undefined ? {} : { identityToken: entry.identitytoken }),
  }
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
}

const HELPER_ANSWER = z.object({ Username: z.string(), Secret: z.string() })
const HELPER_MS = 30_000

/** docker-credential-helpers protocol: the server on standard input, JSON back. */
function askHelper(helper: string, server: string): Promise<StoredCredentials | undefined> {
  if (!/^[\w.-]+$/.test(helper)) {
    throw new DewarError(
      'invalid-argument',
      `Asking credential helper ${JSON.stringify(helper)} failed: bad name`,
    )
  }
  const program = `docker-credential-${helper}`
  return new Promise((resolve, reject) => {
    const failed = (why: string, cause?: unknown): void => {
      reject(new DewarError('system', `Asking ${program} for credentials failed: ${why}`, { cause }))
    }
    const child = execFile(program, ['get'], { timeout: HELPER_MS, maxBuffer: 1 << 20 }, (error, stdout) => {
      if (/credentials not found/.test(stdout)) {
        resolve(undefined)
        return
      }
      if (error !== null) {
        failed(errnoOf(error) === 'ENOENT' ? 'it is not installed' : error.message, error)
        return
      }
      const answer = HELPER_ANSWER.safeParse(parseJson(stdout))
      if (!answer.success) failed('its answer is malformed')
      else resolve(fromHelper(answer.data, server))
    })
    child.stdin?.on('error', () => undefined) // a helper that died tells by its exit
    child.stdin?.end(`${server}\n`)
  })
}

function fromHelper({ Username, Secret }: z.infer<typeof HELPER_ANSWER>, server: string): StoredCredentials {
  if (Username === '<token>') return { serverAddress: server, identityToken: Secret }
  return { serverAddress: server, username: Username, password: Secret }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
