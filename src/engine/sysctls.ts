/** Which sysctls a container may set: only those that live in a namespace of its own. Pure. */
import { DewarError } from '../base/errors.ts'
import type { HostConfig } from './types.ts'

const IPC = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
])

type Modes = Pick<HostConfig, 'ipcMode' | 'networkMode' | 'utsMode'>

/** Names with dots (or slashes, which are turned into dots). Throws `invalid-argument`. */
export function checkSysctls(
  sysctls: Readonly<Record<string, string>>,
  modes: Modes,
): Record<string, string> {
  return Object.fromEntries(Object.entries(sysctls).map(([name, value]) => [checkSysctl(name, modes), value]))
}

/**
 * In a network of its own a container's ports are nobody else's: any user in it may have port 80, and ping, as
 * with Docker. `ids`: how many ids it has, undefined for all.
 */
export function defaultSysctls(
  modes: Pick<Modes, 'networkMode'>,
  ids: number | undefined,
): Record<string, string> {
  const { networkMode } = modes
  if (networkMode === 'host' || networkMode.startsWith('container:')) return {}
  return {
    'net.ipv4.ip_unprivileged_port_start': '0',
    // 2147483647 is the most the kernel takes; an id that is not mapped is refused.
    'net.ipv4.ping_group_range': `0 ${ids === undefined ? 2_147_483_647 : ids - 1}`,
  }
}

function checkSysctl(given: string, modes: Modes): string {
  // net/ipv4/conf/eth0.1/x: with slashes a dot belongs to the interface's name (sysctl(8)).
  const name = given.includes('/') ? given.replace(/[./]/g, (c) => (c === '/' ? '.' : '/')) : given
  const parts = name.split('.')
  if (!/^[a-zA-Z0-9_./@:-]+$/.test(name) || parts.some((part) => part === '' || /^\/*\.*\/*$/.test(part))) {
    return refuse(`invalid sysctl name ${JSON.stringify(given)}`)
  }
  if (IPC.has(name) || name.startsWith('fs.mqueue.')) {
    if (modes.ipcMode === 'host') refuse(`sysctl "${name}" not allowed in host ipc namespace`)
    return name
  }
  if (name.startsWith('net.')) {
    if (modes.networkMode === 'host') refuse(`sysctl "${name}" not allowed in host network namespace`)
    return name
  }
  if (name === 'kernel.domainname' || name === 'kernel.hostname') {
    if (modes.utsMode === 'host') refuse(`sysctl "${name}" not allowed in host UTS namespace`)
    if (name === 'kernel.hostname')
      refuse(`sysctl "${name}" is not allowed as it conflicts with the OCI "hostname" field`)
    return name
  }
  return refuse(`sysctl "${name}" is not in a separate kernel namespace`)
}

function refuse(message: string): never {
  throw new DewarError('invalid-argument', message)
}
