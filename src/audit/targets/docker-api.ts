/** An engine that speaks Docker's API: dewar, dockerd, podman. */
import { readlink, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { isNotFound, isRecord } from '../../client/connect.ts'
import type { Client } from '../../client/connect.ts'
import { DewarError } from '../../base/errors.ts'
import { imageArchive, imageEntries } from '../image.ts'
import type { Journal } from '../journal.ts'
import {
  auditorPids,
  ancestors,
  companions,
  descendants,
  listProcesses,
  listenersOn,
  namespaceOf,
} from '../processes.ts'
import type { Network, Subject, SubjectOptions, Target } from '../target.ts'
import type { TargetReport } from '../types.ts'
import { bodyOf } from './create-body.ts'
import { DockerSubject } from './docker-subject.ts'

export interface DockerTargetOptions {
  readonly client: Client
  /** Path of the unix socket. */
  readonly socket: string
  readonly name: string
  readonly kind: TargetReport['kind']
  /** Isolation level, or runtime; empty: the engine's default. */
  readonly level: string
  /** As typed, for the report. */
  readonly runArguments: readonly string[]
  /** The body of POST /containers/create that these arguments mean. */
  readonly runBody: Readonly<Record<string, unknown>>
  readonly journal: Journal
  /** The static program. */
  readonly program: Buffer
}

/** Where engines keep things when nobody tells them otherwise. */
const USUAL_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  dewar: ['/var/lib/dewar', '/run/dewar'],
  docker: ['/var/lib/docker', '/run/docker', '/var/lib/containerd', '/run/containerd'],
  podman: ['/var/lib/containers', '/run/containers', '/run/libpod', '/run/crun', '/run/runc'],
}

/** Loads the audit's image into the engine; it goes again when the target is disposed of. */
export async function dockerTarget(options: DockerTargetOptions): Promise<Target> {
  const { client, journal, name } = options
  const image = `dewar-audit-${journal.run}:${name.replaceAll(/[^a-z0-9]/g, '-')}`
  const gone = journal.plan({ kind: 'image', socket: options.socket, name: image })
  await loadImage(client, await imageArchive(image, imageEntries(options.program)))
  const engine = await listenersOn(options.socket)
  const version = await client.system.version()
  const info: unknown = JSON.parse(await client.system.infoRaw())
  const root = rootFolderOf(info)
  return {
    report: {
      name,
      kind: options.kind,
      version: version.Version,
      level: options.level === '' ? defaultRuntime(info) : options.level,
      runArguments: options.runArguments,
    },
    client,
    socket: options.socket,
    networkNamespace: await otherNetwork(engine[0]),
    folders: () => foldersOf(options.kind, root, engine),
    enginePids: () => enginePids(engine),
    create: (subject) => createSubject(options, image, engine, subject ?? {}),
    makeNetwork: (network) => makeNetwork(options, network?.internal ?? false),
    async [Symbol.asyncDispose]() {
      await client.images.remove(image, { force: true }).catch(ignoreAbsence)
      gone()
    },
  }
}

async function loadImage(client: Client, archive: Buffer): Promise<void> {
  for await (const line of client.images.load(Readable.from([archive], { objectMode: false }))) {
    if (line.error !== '') {
      throw new DewarError('system', `loading the audit's image failed: ${line.error}`, {
        remedy: "look into the engine's log",
      })
    }
  }
}

function ignoreAbsence(error: unknown): void {
  if (!isNotFound(error)) throw error
}

/** Where the engine keeps things, as its `info` says; empty when it does not. */
export function rootFolderOf(info: unknown): string {
  return isRecord(info) && typeof info['DockerRootDir'] === 'string' ? info['DockerRootDir'] : ''
}

function defaultRuntime(info: unknown): string {
  const runtime = isRecord(info) ? info['DefaultRuntime'] : undefined
  return typeof runtime === 'string' && runtime !== '' ? runtime : 'default'
}

async function otherNetwork(pid: number | undefined): Promise<string | undefined> {
  if (pid === undefined) return undefined
  const [engine, ours] = await Promise.all([namespaceOf(pid, 'net'), namespaceOf('self', 'net')])
  return engine === undefined || engine === ours ? undefined : `/proc/${pid}/ns/net`
}

/**
 * The engine and its helpers (containerd, spawner); not what belongs to containers, whose shims are nobody's children
 * or live in another PID namespace.
 */
async function enginePids(engine: readonly number[]): Promise<readonly number[]> {
  const family = [...descendants(await listProcesses(), engine)]
  const host = await namespaceOf('self', 'pid')
  const links = await Promise.all(family.map((pid) => namespaceOf(pid, 'pid')))
  return family.filter((_pid, index) => links[index] === host)
}

/** The usual places, what the engine says, and every folder that its command line names. */
export async function foldersOf(
  kind: TargetReport['kind'],
  root: string,
  engine: readonly number[],
): Promise<readonly string[]> {
  const family = new Set(await enginePids(engine))
  const words = (await listProcesses())
    .filter(({ pid }) => family.has(pid))
    .flatMap(({ argv }) => argv.slice(1))
    .flatMap((word) => word.split('='))
    .filter((word) => word.startsWith('/') && word.split('/').length > 2)
  // Where the engine was told its places, the usual ones are somebody else's.
  const told = words.some((word) => root !== '' && word.startsWith(root))
  const usual = told ? [] : (USUAL_FOLDERS[kind] ?? [])
  const candidates = [...new Set([root, ...usual, ...words].filter((path) => path !== ''))].toSorted()
  const there = await Promise.all(candidates.map(isFolder))
  const folders = candidates.filter((_path, index) => there[index] === true)
  return folders.filter((path) => !folders.some((other) => path.startsWith(`${other}/`)))
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false
}

async function createSubject(
  target: DockerTargetOptions,
  image: string,
  engine: readonly number[],
  options: SubjectOptions,
): Promise<Subject> {
  const { client, journal, socket } = target
  const name = `dewar-audit-${journal.run}-${Math.random().toString(36).slice(2, 8)}`
  const gone = journal.plan({ kind: 'container', socket, name })
  const body = bodyOf({ ...options, image: options.image ?? image }, target, client.apiVersion)
  const remove = async (): Promise<void> => {
    await client.containers.remove(name, { force: true, volumes: true }).catch(ignoreAbsence)
    gone()
  }
  try {
    const { Id } = await client.containers.create(body, { name })
    await client.containers.start(Id)
    const { State } = await client.containers.inspect(Id)
    const pids = (): Promise<readonly number[]> => pidsOf(Id, State.Pid, engine)
    return new DockerSubject({ client, id: Id, name, pid: State.Pid, pids, remove })
  } catch (error) {
    await remove()
    throw error
  }
}

/** By the PID namespace, by kinship (shims), and by the id in a command line (conmon, gofers). */
async function pidsOf(id: string, pid: number, engine: readonly number[]): Promise<readonly number[]> {
  const all = await listProcesses()
  const ours = await auditorPids(all, engine)
  // What the engine started for all containers (dewar's spawner, containerd): above it are other people's, too.
  const helpers = all.filter((one) => engine.includes(one.parent)).map((one) => one.pid)
  const up = ancestors(all, pid, new Set([...engine, ...helpers, ...ours]))
  const named = all.filter(({ argv }) => argv.some((word) => word.includes(id))).map((one) => one.pid)
  const inside = await companions(pid)
  const family = descendants(all, [pid, ...up, ...named, ...inside])
  return [...family].filter((one) => !ours.has(one) && !engine.includes(one))
}

async function makeNetwork(target: DockerTargetOptions, internal: boolean): Promise<Network> {
  const { client, journal, socket } = target
  const name = `dewar-audit-${journal.run}-${Math.random().toString(36).slice(2, 8)}`
  const gone = journal.plan({ kind: 'network', socket, name })
  await client.networks.create({ Name: name, Driver: 'bridge', Internal: internal, CheckDuplicate: true })
  return {
    name,
    async [Symbol.asyncDispose]() {
      await client.networks.remove(name).catch(ignoreAbsence)
      gone()
    },
  }
}

/** Folder of a shim: containerd's has the bundle as its working folder. */
export function workingFolderOf(pid: number): Promise<string | undefined> {
  return readlink(`/proc/${pid}/cwd`).catch(() => undefined)
}
