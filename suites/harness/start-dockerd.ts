import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { background } from './background.ts'
import { command } from './command.ts'
import { hostNetwork, type NetworkNamespace } from './network-namespace.ts'
import { serverOf, type Server } from './server.ts'
import { trixie } from './trixie.ts'

export interface DockerdOptions {
  /** For its data, sockets and log; see tempFolder. */
  readonly folder: string
  /** It programs the packet filter of this namespace: give it one of its own. */
  readonly network: NetworkNamespace
  readonly arguments?: readonly string[]
  /** `trixie`: Debian 13's dockerd 26, unpacked beside the system. The system's own when not given. */
  readonly release?: 'trixie'
}

/**
 * A real dockerd with a containerd of its own, in a private mount namespace, so that its mounts go when it goes.
 * Containers stop with it (no live restore).
 */
export async function startDockerd(options: DockerdOptions): Promise<Server> {
  const { folder, network } = options
  if (network === hostNetwork) throw new Error('starting dockerd: it wants a network namespace of its own')
  await mkdir(join(folder, 'client'), { recursive: true })
  const socket = join(folder, 'd.sock')
  const env = await programsOf(options.release)
  const child = background(
    [
      ...network.enter,
      ...['unshare', '--mount', '--propagation', 'private'],
      ...['dockerd', '--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')],
      ...['--host', `unix://${socket}`, '--pidfile', join(folder, 'pid')],
      ...['--cgroup-parent', `/dwt-${nameOf(folder)}`, '--bip', '172.17.0.1/16', '--shutdown-timeout', '1'],
      ...(options.arguments ?? []),
    ],
    join(folder, 'dockerd.log'),
    // What it is killed over (clones of git contexts) goes with the folder.
    { env: { ...env, TMPDIR: folder } },
  )
  const server = await serverOf({
    name: 'dockerd',
    folder,
    socket,
    network,
    process: child,
    patience: 120_000,
  })
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      await child.stop(20_000)
      await removeCgroups(`dwt-${nameOf(folder)}`)
    },
  }
}

/** It finds its containerd and docker-proxy by PATH. */
async function programsOf(release: DockerdOptions['release']): Promise<Record<string, string>> {
  if (release === undefined) return {}
  const programs = await trixie()
  if (typeof programs === 'string') throw new Error(`starting dockerd 26: ${programs}`)
  return { PATH: `${programs.path}:${process.env['PATH'] ?? ''}` }
}

/** dockerd leaves the parent group it made. */
async function removeCgroups(name: string): Promise<void> {
  await command([
    'sh',
    '-c',
    'find /sys/fs/cgroup -depth -type d -path "*/$0*" -exec rmdir {} + 2>/dev/null',
    name,
  ])
}

/** The folder's own random part. */
function nameOf(folder: string): string {
  return /-(\w{6})(\/|$)/.exec(folder)?.[1] ?? String(process.pid)
}
