/** Which namespaces a container gets, shares or joins. Pure. */
import { DewarError } from '../base/errors.ts'
import type { OciIdMapping, OciNamespaceType, OciSpec } from '../kernel/oci.ts'
import type { HostConfig } from './types.ts'

/** A run of ids on the host that belongs to one container alone; container id 0 is `base`. */
export interface IdRange {
  readonly base: number
  readonly size: number
}

/** Host pids of running containers whose namespaces are joined (`--network=container:web`). */
export interface Joins {
  readonly network?: number
  readonly ipc?: number
  readonly pid?: number
}

export interface NamespaceInput {
  readonly host: Pick<HostConfig, 'networkMode' | 'pidMode' | 'ipcMode' | 'utsMode' | 'cgroupnsMode'>
  readonly range: IdRange | undefined
  readonly joins: Joins
  readonly timeNamespaces: boolean
}

type Namespace = OciSpec['linux']['namespaces'][number]

/**
 * With a private id range the container has a user namespace of its own, except when it joins another
 * container's network, IPC or PID namespace: those belong to the other's user namespace, which is then shared
 * too (as in a pod), because a stranger has no rights in them, not even to mount /sys or /proc.
 */
export function namespaces(input: NamespaceInput): Namespace[] {
  const { host, joins } = input
  const list: Namespace[] = [{ type: 'mount' }]
  const add = (type: OciNamespaceType, mode: string, joined: number | undefined): void => {
    if (mode === 'host') return
    if (mode.startsWith('container:'))
      list.push({ type, path: `/proc/${needed(joined, mode)}/ns/${FILE[type]}` })
    else list.push({ type })
  }
  add('network', host.networkMode, joins.network)
  add('pid', host.pidMode, joins.pid)
  add('ipc', host.ipcMode, joins.ipc)
  add('uts', sharesUts(host) ? 'host' : host.utsMode, undefined)
  add('cgroup', host.cgroupnsMode, undefined)
  if (input.timeNamespaces) list.push({ type: 'time' })
  if (input.range !== undefined) list.push(userNamespace(joins))
  return list
}

const FILE: Readonly<Record<OciNamespaceType, string>> = {
  mount: 'mnt',
  network: 'net',
  pid: 'pid',
  ipc: 'ipc',
  uts: 'uts',
  user: 'user',
  cgroup: 'cgroup',
  time: 'time',
}

function sharesUts(host: NamespaceInput['host']): boolean {
  return host.utsMode === 'host'
}

function userNamespace(joins: Joins): Namespace {
  const owner = joins.network ?? joins.pid ?? joins.ipc
  return owner === undefined ? { type: 'user' } : { type: 'user', path: `/proc/${owner}/ns/user` }
}

function needed(pid: number | undefined, mode: string): number {
  if (pid !== undefined && pid > 0) return pid
  throw new DewarError('conflict', `cannot join the namespace of ${mode}: it is not running`, {
    remedy: 'start that container first',
  })
}

export function idMappings(range: IdRange | undefined): OciIdMapping[] {
  return range === undefined ? [] : [{ containerID: 0, hostID: range.base, size: range.size }]
}

/** Seconds that make the container's clocks begin near zero, so that they do not tell the host's uptime. */
export function timeOffsets(
  monotonicSeconds: number,
  boottimeSeconds: number,
): OciSpec['linux']['timeOffsets'] {
  // Whole seconds, one less: a clock before zero is refused by the kernel (time_namespaces(7)).
  const offset = (seconds: number) => ({ secs: -Math.max(Math.floor(seconds) - 1, 0), nanosecs: 0 })
  return { monotonic: offset(monotonicSeconds), boottime: offset(boottimeSeconds) }
}
