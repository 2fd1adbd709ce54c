import { execFile } from 'node:child_process'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecord } from '../client/connect.ts'
import type { RegistryAuth } from '../client/connect.ts'
import { Failure } from './failure.ts'

/** Docker's client settings as far as we read them; the rest is kept as it is when writing. */
export interface ConfigFile {
  readonly path: string
  readonly raw: Readonly<Record<string, unknown>>
}

/** Reads config.json; an absent one is empty. */
export async function readConfig(folder: string): Promise<ConfigFile> {
  const path = join(folder, 'config.json')
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    return { path, raw: {} }
  }
  try {
    const parsed: unknown = JSON.parse(text)
    if (isRecord(parsed)) return { path, raw: parsed }
  } catch {
    // Said below with the same words.
  }
  throw new Failure(`reading ${path} failed: it is not a JSON object (correct or remove it)`)
}

/** A text setting such as psFormat or detachKeys; '' when absent. */
export function setting(config: ConfigFile, name: string): string {
  const value = config.raw[name]
  return typeof value === 'string' ? value : ''
}

/** Docker Hub's key in config.json. */
export const HUB_KEY = 'https://index.docker.io/v1/'

/** The registry host of config.json's key for an image's domain. */
export function registryKey(domain: string): string {
  return domain === 'docker.io' || domain === 'index.docker.io' ? HUB_KEY : domain
}

/** The name and password stored for a registry: from its credential helper, else from the file itself. */
export async function findAuth(config: ConfigFile, domain: string): Promise<RegistryAuth | undefined> {
  const key = registryKey(domain)
  const helper = helperFor(config, key)
  if (helper !== undefined) return fromHelper(helper, key)
  const auths = config.raw['auths']
  if (!isRecord(auths)) return undefined
  const entry = auths[key] ?? Object.entries(auths).find(([name]) => hostOf(name) === hostOf(key))?.[1]
  return isRecord(entry) ? fromEntry(entry, key) : undefined
}

/** What is stored for every registry that the settings name, by the names they have there. */
export async function findAllAuths(config: ConfigFile): Promise<Readonly<Record<string, RegistryAuth>>> {
  const names = ['auths', 'credHelpers'].flatMap((list) => {
    const entries = config.raw[list]
    return isRecord(entries) ? Object.keys(entries) : []
  })
  const found = await Promise.all(
    [...new Set(names)].map(async (name) => [name, await findAuth(config, name)] as const),
  )
  return Object.fromEntries(found.flatMap(([name, auth]) => (auth === undefined ? [] : [[name, auth]])))
}

export function helperFor(config: ConfigFile, key: string): string | undefined {
  const helpers = config.raw['credHelpers']
  const own = isRecord(helpers) ? helpers[key] : undefined
  const chosen = own ?? config.raw['credsStore']
  return typeof chosen === 'string' && chosen !== '' ? chosen : undefined
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').split('/')[0] ?? key
}

function fromEntry(entry: Record<string, unknown>, serveraddress: string): RegistryAuth | undefined {
  const { auth, identitytoken } = entry
  const plain = typeof auth === 'string' ? Buffer.from(auth, 'base64').toString('utf8') : ''
  const colon = plain.indexOf(':')
  const names =
    colon < 0 ? {} : { username: plain.slice(0, colon), password: plain.slice(colon + 1).replace(/\0+$/, '') }
  const token = typeof identitytoken === 'string' && identitytoken !== '' ? { identitytoken } : {}
  return { ...names, ...token, serveraddress }
}

async function fromHelper(helper: string, key: string): Promise<RegistryAuth | undefined> {
  const answer = await callHelper(helper, 'get', key).catch(() => undefined)
  if (answer === undefined) return undefined
  const parsed: unknown = JSON.parse(answer)
  if (!isRecord(parsed) || typeof parsed['Secret'] !== 'string') return undefined
  const name = typeof parsed['Username'] === 'string' ? parsed['Username'] : ''
  if (name === '<token>') return { identitytoken: parsed['Secret'], serveraddress: key }
  return { username: name, password: parsed['Secret'], serveraddress: key }
}

/** One call of docker-credential-NAME, with its input on stdin, as docker's helpers want it. */
export function callHelper(helper: string, verb: 'get' | 'store' | 'erase', input: string): Promise<string> {
  const program = `docker-credential-${helper}`
  return new Promise((resolve, reject) => {
    const child = execFile(program, [verb], { timeout: 60_000 }, (error, stdout) => {
      if (error === null) resolve(stdout)
      else
        reject(
          new Failure(
            `error getting credentials - err: ${error.message}, out: \`${stdout.trim()}\` (is ${program} installed?)`,
          ),
        )
    })
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}

/** Writes config.json whole, readable by its owner only. */
export async function writeConfig(config: ConfigFile, raw: Readonly<Record<string, unknown>>): Promise<void> {
  const folder = join(config.path, '..')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const temporary = `${config.path}.${process.pid}`
  await writeFile(temporary, JSON.stringify(raw, null, '\t'), { mode: 0o600 })
  await rename(temporary, config.path)
}
