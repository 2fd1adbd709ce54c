import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { background } from './background.ts'
import { callApi } from './call-api.ts'
import { command } from './command.ts'
import { killProcessesOf } from './kill-processes-of.ts'
import { removeParentGroups } from './parent-groups.ts'
import type { NetworkNamespace } from './network-namespace.ts'
import { until } from './until.ts'

export interface Podman extends AsyncDisposable {
  readonly socket: string
}

/** Podman's API service with storage of its own, on runc since crun refuses hybrid cgroups. */
export async function startPodman(folder: string, network: NetworkNamespace): Promise<Podman> {
  await mkdir(join(folder, 'tmp'), { recursive: true })
  const socket = join(folder, 'podman.sock')
  // Its default limit of open files is above what root may set on some machines.
  await writeFile(
    join(folder, 'containers.conf'),
    '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n',
  )
  const own = [
    '--root',
    join(folder, 'root'),
    '--runroot',
    join(folder, 'run'),
    '--tmpdir',
    join(folder, 'tmp'),
  ]
  const argv = [
    'podman',
    ...own,
    '--runtime',
    'runc',
    '--cgroup-manager',
    'cgroupfs',
    '--network-config-dir',
    join(folder, 'net'),
  ]
  const child = background(
    [
      ...network.enter,
      'unshare',
      '--mount',
      '--propagation',
      'private',
      ...argv,
      'system',
      'service',
      '--time=0',
      `unix://${socket}`,
    ],
    join(folder, 'podman.log'),
    // What it is killed over (api_load.tar…) goes with the folder.
    { env: { CONTAINERS_CONF: join(folder, 'containers.conf'), TMPDIR: join(folder, 'tmp') } },
  )
  try {
    await until('podman to answer', async () => {
      if (!child.running()) throw new Error(`starting podman: it ended\n${child.log()}`)
      return callApi(socket, 'GET', '/_ping').then(
        (answer) => answer.status === 200,
        () => false,
      )
    })
  } catch (error) {
    await child.stop()
    throw error
  }
  return {
    socket,
    async [Symbol.asyncDispose]() {
      await child.stop()
      // Each exec leaves a conmon that stays five minutes.
      await killProcessesOf(folder)
      await removeParentGroups('libpod_parent/conmon', 'libpod_parent')
      await command(['umount', '-l', join(folder, 'root', 'overlay')])
    },
  }
}
