import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { background } from './background.ts'
import type { NetworkNamespace } from './network-namespace.ts'
import { ENGINE_MAIN } from './project.ts'
import { serverOf, type Server } from './server.ts'

export interface EngineOptions {
  /** For its root, run folder, socket and log. Start it again with the same folder to have a successor. */
  readonly folder: string
  /** At most 15 bytes, `dwt…`. */
  readonly bridge: string
  readonly subnet: string
  /** The host's when not given. */
  readonly network?: NetworkNamespace
  /** Another place for what is at rest. */
  readonly root?: string
  /**
   * Its mount namespace, one of its own, is such that what is mounted at one place of it is given to all copies: systemd
   * sets up machines so. Enter it by the process's pid. Not the tests' own, where all may be private.
   */
  readonly sharedMounts?: boolean
  readonly env?: Readonly<Record<string, string>>
  readonly arguments?: readonly string[]
}

/** Our engine as a process of its own, as `dewar engine` runs it. */
export async function startEngine(options: EngineOptions): Promise<Server> {
  const { folder, network } = options
  await mkdir(join(folder, 'client'), { recursive: true })
  const socket = join(folder, 'e.sock')
  const child = background(
    [
      ...(network?.enter ?? []),
      ...(options.sharedMounts === true ? SHARED : []),
      ...[process.execPath, ENGINE_MAIN],
      ...['--root', options.root ?? join(folder, 'root'), '--run', join(folder, 'run')],
      ...['-H', `unix://${socket}`, '--bridge', options.bridge, '--subnet', options.subnet],
      ...(options.arguments ?? []),
    ],
    join(folder, 'engine.log'),
    options.env === undefined ? {} : { env: options.env },
  )
  return serverOf({ name: 'dewar', folder, socket, network, process: child, patience: 90_000 })
}

const SHARED = [
  ...['unshare', '--mount', '--propagation', 'private'],
  ...['sh', '-c', 'mount --make-rshared / && exec "$0" "$@"'],
]
