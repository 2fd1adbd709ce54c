import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../harness/command.ts'
import { compileC } from '../harness/compile-c.ts'
import { busyboxTree } from '../harness/image-recipes.ts'
import { tarOf } from '../harness/oci-layout.ts'

export interface Programs {
  /** A root filesystem with a static busybox; /bin/true is in it. */
  readonly rootfs: string
  readonly limit: string
  readonly repeat: string
  readonly life: string
  readonly carryOut: string
  readonly bundle: string
}

/** Builds the C programs and a bundle for the low-level runtimes. */
export async function buildPrograms(folder: string): Promise<Programs> {
  const rootfs = join(folder, 'bundle', 'rootfs')
  await mkdir(rootfs, { recursive: true })
  await command(['tar', 'xf', '-', '-C', rootfs], { input: await tarOf(busyboxTree()), check: true })
  const [limit = '', repeat = '', life = '', carryOut = ''] = await Promise.all(
    ['limit', 'repeat', 'life', 'carry-out'].map((name) => compileC(`bench/${name}.c`, join(folder, name))),
  )
  await writeFile(join(folder, 'bundle', 'config.json'), JSON.stringify(bundleConfig()))
  return { rootfs, limit, repeat, life, carryOut, bundle: join(folder, 'bundle') }
}

/** What `runc spec` writes, with the same namespaces for all: no network beyond a loopback that is down. */
function bundleConfig(): object {
  const dev = ['nosuid', 'strictatime', 'mode=755', 'size=65536k']
  const caps = ['CAP_KILL', 'CAP_NET_BIND_SERVICE', 'CAP_CHOWN', 'CAP_SETUID', 'CAP_SETGID']
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args: ['/bin/true'],
      env: ['PATH=/bin'],
      cwd: '/',
      capabilities: { bounding: caps, effective: caps, permitted: caps },
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'bench',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: dev },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    ],
    linux: { namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
  }
}
