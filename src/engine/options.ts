/** What an engine is told when it opens, and what that means in full. */
import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import { DewarError } from '../base/errors.ts'
import type { LevelName } from '../isolation/level.ts'

export interface EngineOptions {
  /** State at rest; default /var/lib/dewar. */
  readonly root?: string
  /** Sockets and what does not outlive a boot; default /run/dewar. */
  readonly run?: string
  /** Name of the default bridge; default dewar0. At most 15 characters. */
  readonly bridge?: string
  /** CIDR of the default bridge; default: the first private range no route of the host uses. */
  readonly subnet?: string
  readonly registryMirrors?: readonly string[]
  readonly insecureRegistries?: readonly string[]
  /** For containers that name none; default namespaces. */
  readonly defaultLevel?: LevelName
  /** First host uid and gid given to containers, and how many each gets; default 1,000,000 and 65,536. */
  readonly idBase?: number
  readonly idSize?: number
  /** For containers that say nothing; default json-file without rotation. */
  readonly log?: { readonly type: string; readonly config: Readonly<Record<string, string>> }
  /** Another native core, such as the AddressSanitizer build. */
  readonly coreProgram?: string
  /** Stack layers as on kernels before 6.15; found out by trying when not given. */
  readonly layersByPath?: boolean
}

export interface Settings {
  readonly root: string
  readonly run: string
  readonly bridge: string
  readonly subnet: string | undefined
  readonly registryMirrors: readonly string[]
  readonly insecureRegistries: readonly string[]
  readonly defaultLevel: LevelName
  readonly idBase: number
  readonly idSize: number
  readonly log: { readonly type: string; readonly config: Readonly<Record<string, string>> }
  readonly coreProgram: string | undefined
  readonly layersByPath: boolean
  /** Eight hex digits that tell this engine's cgroups and interfaces from another's on the same machine. */
  readonly instance: string
  readonly folders: Folders
}

export interface Folders {
  readonly containers: string
  readonly volumes: string
  readonly networks: string
  readonly trash: string
  /** One folder per running container. */
  readonly running: string
}

export const LEVELS: readonly LevelName[] = ['namespaces', 'sealed', 'gvisor', 'microvm']

export function resolveOptions(options: EngineOptions): Settings {
  const root = resolve(options.root ?? '/var/lib/dewar')
  const run = resolve(options.run ?? '/run/dewar')
  const bridge = options.bridge ?? 'dewar0'
  const [idBase, idSize] = [options.idBase ?? 1_000_000, options.idSize ?? 65_536]
  checkBridge(bridge)
  if (idBase < 1 || idSize < 1 || idBase + idSize > 2 ** 32 - 1) {
    throw new DewarError(
      'invalid-argument',
      `Opening the engine failed: uid range ${idBase}+${idSize} is not possible`,
    )
  }

  checkSocketPath(run)
  return {
    root,
    run,
    bridge,
    subnet: options.subnet,
    registryMirrors: options.registryMirrors ?? [],
    insecureRegistries: options.insecureRegistries ?? [],
    defaultLevel: options.defaultLevel ?? 'namespaces',
    idBase,
    idSize,
    log: options.log ?? { type: 'json-file', config: {} },
    coreProgram: options.coreProgram,
    layersByPath: options.layersByPath === true,
    instance: createHash('sha256').update(root).digest('hex').slice(0, 8),
    folders: {
      containers: join(root, 'containers'),
      volumes: join(root, 'volumes'),
      networks: join(root, 'networks'),
      trash: join(root, 'trash'),
      running: join(run, 'c'),
    },
  }
}

/** Folder of a running container: short, because a unix socket's path holds 107 bytes. */
export function runFolder(settings: Settings, id: string): string {
  return join(settings.folders.running, id.slice(0, 24))
}

function checkSocketPath(run: string): void {
  const longest = Buffer.byteLength(join(run, 'c', 'x'.repeat(24), 'shim.sock'))
  if (longest <= 107) return
  throw new DewarError(
    'invalid-argument',
    `Opening the engine failed: the run folder ${run} is too long for unix sockets`,
    {
      remedy: `use one of at most ${107 - longest + Buffer.byteLength(run)} bytes`,
    },
  )
}

function checkBridge(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/.test(name)) return
  throw new DewarError(
    'invalid-argument',
    `Opening the engine failed: ${JSON.stringify(name)} is no interface name`,
    {
      remedy: 'use at most 15 letters, digits, dots and dashes',
    },
  )
}

export function isLevelName(name: string): name is LevelName {
  return LEVELS.some((level) => level === name)
}
