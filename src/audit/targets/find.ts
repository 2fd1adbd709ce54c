/** Which targets a machine has, and what to do about those it has not. */
import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../base/errors.ts'
import { connect, isRecord, parseAddress } from '../../client/connect.ts'
import type { Client } from '../../client/connect.ts'
import { findProgram } from '../host-command.ts'
import { startOf } from '../journal.ts'
import type { Journal } from '../journal.ts'
import type { Target } from '../target.ts'
import type { TargetReport } from '../types.ts'
import { dockerTarget } from './docker-api.ts'
import { runtimeTarget } from './oci-runtime.ts'

export interface Machine {
  readonly journal: Journal
  readonly program: Buffer
  /** Socket of the dewar engine, started if need be. */
  readonly dewar: () => Promise<string>
  readonly env: NodeJS.ProcessEnv
  readonly runArguments: readonly string[]
  readonly runBody: Readonly<Record<string, unknown>>
}

export type Choice =
  | { readonly name: string; readonly open: () => Promise<Target> }
  /** Not here: the report says why and what to do. */
  | { readonly name: string; readonly absent: TargetReport }

export const KNOWN_TARGETS = ['dewar', 'docker', 'podman', 'runc', 'crun', 'runsc'] as const
const RUNTIMES: readonly string[] = ['runc', 'crun', 'runsc']
const DOCKER_SOCKETS = ['/run/docker.sock', '/var/run/docker.sock']
const PODMAN_SOCKETS = ['/run/podman/podman.sock']

const REMEDY: Readonly<Record<string, string>> = {
  dewar: 'start it: dewar engine',
  docker: 'install and start dockerd, or name its socket: docker=SOCKET',
  podman: 'install podman, or name its socket: podman=SOCKET',
}

/**
 * The targets that the words mean, in their order: `dewar` (each level), `dewar:LEVEL`, `docker`, `podman`,
 * `docker=SOCKET`, `docker:RUNTIME`, `runc`, `crun`, `runsc`. Each has a name of its own, since results are kept by it: the
 * word without its socket, or the whole where that would be two. Throws on a word that names none, before anything starts.
 */
export async function chooseTargets(words: readonly string[], machine: Machine): Promise<readonly Choice[]> {
  const unique = [...new Set(words)]
  for (const word of unique) parseTarget(word)
  const chosen = new Map<string, Choice>()
  for (const word of unique) {
    const short = withoutSocket(word)
    const alone = unique.filter((other) => withoutSocket(other) === short).length === 1
    for (const choice of await choicesOf(word, alone ? short : word, machine))
      // `dewar dewar:sealed`: the first has said it already.
      if (!chosen.has(choice.name)) chosen.set(choice.name, choice)
  }
  return [...chosen.values()]
}

function withoutSocket(word: string): string {
  return word.replace(/=.*/s, '')
}

async function choicesOf(word: string, name: string, machine: Machine): Promise<readonly Choice[]> {
  const { kind, level, socket } = parseTarget(word)
  if (RUNTIMES.includes(kind)) return [runtimeChoice(kind, machine)]
  try {
    const found = socket ?? (await socketOf(kind, machine))
    const other = await kindAt(found)
    if (other !== kind) {
      const remedy = `name it ${other}=${found}, or name the socket of ${kind}: ${kind}=SOCKET`
      return [missing(name, kind, `${other} answers at ${found}`, remedy)]
    }
    if (kind === 'dewar' && level === '') return await dewarChoices(found, name, machine)
    return [await apiChoice(name, kind, level, found, machine)]
  } catch (error) {
    return [missing(name, kind, messageOf(error), REMEDY[kind] ?? '')]
  }
}

export interface TargetWord {
  readonly kind: string
  readonly level: string
  readonly socket: string | undefined
}

export function parseTarget(word: string): TargetWord {
  const [, kind = '', level = '', socket] = /^(\w+)(?::([\w.-]+))?(?:=(.+))?$/.exec(word) ?? []
  if (!KNOWN_TARGETS.some((name) => name === kind)) {
    throw new Error(
      `auditing ${word} failed: there is no such target (use ${KNOWN_TARGETS.join(', ')}, dewar:LEVEL, docker=SOCKET)`,
    )
  }
  if (socket === undefined) return { kind, level, socket }
  const address = parseAddress(socket)
  if (address.kind !== 'unix')
    throw new Error(`auditing ${word} failed: the engine must be on this machine (give its unix socket)`)
  return { kind, level, socket: address.path }
}

function runtimeChoice(name: string, machine: Machine): Choice {
  const path = findProgram(name)
  if (path === undefined) return missing(name, 'oci-runtime', `${name} is not installed`, `install ${name}`)
  if (machine.runArguments.length > 0)
    return missing(
      name,
      'oci-runtime',
      'a bare runtime knows no run arguments',
      'leave --run-args out, or choose engines',
    )
  return {
    name,
    open: () => runtimeTarget({ name, path, journal: machine.journal, program: machine.program }),
  }
}

/** One choice per isolation level of the engine. */
async function dewarChoices(socket: string, name: string, machine: Machine): Promise<readonly Choice[]> {
  await using client = await connect({ socket })
  const info: unknown = JSON.parse(await client.system.infoRaw())
  const runtimes = isRecord(info) && isRecord(info['Runtimes']) ? Object.keys(info['Runtimes']) : []
  const standard = isRecord(info) ? info['DefaultRuntime'] : undefined
  const chosen = machine.runArguments.some((word) => /^--(isolation|runtime)/.test(word))
  if (chosen || runtimes.length < 2) return [await apiChoice(name, 'dewar', '', socket, machine)]
  return await Promise.all(
    runtimes.map((level) =>
      apiChoice(level === standard ? name : `${name}:${level}`, 'dewar', level, socket, machine),
    ),
  )
}

async function apiChoice(
  name: string,
  kind: string,
  level: string,
  socket: string,
  machine: Machine,
): Promise<Choice> {
  const client: Client = await connect({ socket })
  const { journal, program, runArguments, runBody } = machine
  return {
    name,
    open: () =>
      dockerTarget({
        ...{ client, socket, name, level, runArguments, runBody, journal, program },
        kind: kind === 'dewar' || kind === 'docker' ? kind : 'podman',
      }),
  }
}

async function socketOf(kind: string, machine: Machine): Promise<string> {
  if (kind === 'dewar') return await machine.dewar()
  const named = kind === 'docker' ? machine.env['DOCKER_HOST'] : machine.env['CONTAINER_HOST']
  if (named !== undefined && named !== '') {
    const address = parseAddress(named)
    // It may be Dewar's, as our own documents advise: then Docker is looked for where it usually is.
    const other = address.kind === 'unix' ? await kindAt(address.path).catch(() => kind) : undefined
    if (address.kind === 'unix' && other === kind) return address.path
  }
  const usual = kind === 'docker' ? DOCKER_SOCKETS : PODMAN_SOCKETS
  const found = usual.find((path) => existsSync(path))
  if (found !== undefined) return found
  if (kind === 'podman' && findProgram('podman') !== undefined) return await servePodman(machine.journal)
  throw new Error(`no engine listens at ${usual.join(' or ')}`)
}

/** What an engine says that it is: a verdict must not be told of the wrong one. Throws when nothing answers. */
async function kindAt(socket: string): Promise<'dewar' | 'docker' | 'podman'> {
  await using client = await connect({ socket })
  const { Platform, Components } = await client.system.version()
  if (Platform.Name === 'Dewar') return 'dewar'
  return Components.some(({ Name }) => Name === 'Podman Engine') ? 'podman' : 'docker'
}

/** Sockets on which an engine may listen now, without starting one. `first`: of the engine that was asked for. */
export function listeningSockets(env: NodeJS.ProcessEnv, first: readonly string[]): readonly string[] {
  const named = [env['DOCKER_HOST'], env['CONTAINER_HOST']].flatMap((host) => {
    const address = host === undefined || host === '' ? undefined : parseAddress(host)
    return address?.kind === 'unix' ? [address.path] : []
  })
  const all = [...first, ...named, ...DOCKER_SOCKETS, ...PODMAN_SOCKETS].filter((path) => existsSync(path))
  // /run and /var/run are one folder.
  return [...new Map(all.map((path) => [realpathSync(path), path])).values()]
}

/** Podman has no daemon: its API service is started for the time of the audit. */
async function servePodman(journal: Journal): Promise<string> {
  const socket = join(journal.folder, 'podman.sock')
  const child = spawn('podman', ['system', 'service', '--time=0', `unix://${socket}`], {
    stdio: 'ignore',
    detached: true,
  })
  const pid = child.pid ?? 0
  journal.plan({ kind: 'process', pid, start: startOf(pid) })
  child.unref()
  for (let tries = 0; tries < 200; tries += 1) {
    const client = await connect({ socket }).catch(() => undefined)
    if (client !== undefined) {
      client.close()
      return socket
    }
    await sleep(50)
  }
  throw new Error('podman system service does not answer')
}

function missing(name: string, kind: string, reason: string, remedy: string): Choice {
  const known = kind === 'dewar' || kind === 'docker' || kind === 'podman' ? kind : 'oci-runtime'
  return {
    name,
    absent: { name, kind: known, version: '', level: '', runArguments: [], missing: { reason, remedy } },
  }
}
