/** A container's own /dev. Pure. */
import { dirname, posix } from 'node:path'
import type { OciDevice } from '../../kernel/oci.ts'
import type { Slot, Step } from '../../kernel/plan.ts'
import type { MountWords } from './mount-words.ts'
import type { Surroundings } from './namespace-steps.ts'

interface DeviceInput {
  readonly spec: Surroundings
  readonly kcore: boolean
  /** Host ids of the container's root. */
  readonly rootUid: number
  readonly rootGid: number
}

/** Major and minor of /dev/console's and the terminals' parents are not here: devpts brings its own. */
const LINKS: readonly (readonly [path: string, target: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['core', '/proc/kcore'],
  ['ptmx', 'pts/ptmx'],
]

const FILE_TYPE = { c: 0o020000, u: 0o020000, b: 0o060000, p: 0o010000 } as const

/**
 * /dev is made by the host's root: device nodes work only on a file system of the initial user namespace, and
 * nobody inside can mount another such. What may be opened is up to the device cgroup. Leaves it in the slot.
 */
export function deviceSteps(words: MountWords, input: DeviceInput, slot: Slot): Step[] {
  const owner: [string, string][] = [
    ['uid', String(input.rootUid)],
    ['gid', String(input.rootGid)],
  ]
  const folders = new Set(['pts', 'shm', 'mqueue'])
  for (const device of input.spec.linux.devices) {
    const parent = dirname(inDev(device))
    parent.split('/').forEach((_, i, parts) => parent !== '.' && folders.add(parts.slice(0, i + 1).join('/')))
  }
  const ids = { uid: input.rootUid, gid: input.rootGid }
  const links = LINKS.filter(([path]) => path !== 'core' || input.kcore)
  return [
    {
      actor: 'parent',
      op: 'fsmount',
      slot,
      type: 'tmpfs',
      options: [['source', 'tmpfs'], ...words.data, ...owner],
      attrs: words.attrs,
    },
    ...[...folders].map((path): Step => ({
      actor: 'parent',
      op: 'mkdir',
      at: slot,
      path,
      mode: 0o755,
      ...ids,
    })),
    ...input.spec.linux.devices.map((device) => deviceNode(device, slot, input)),
    ...links.map(([path, target]): Step => ({
      actor: 'parent',
      op: 'symlink',
      at: slot,
      path,
      target,
      ...ids,
    })),
  ]
}

/** The path under /dev; anything else cannot lead out of it, since it is resolved inside. */
const inDev = (device: OciDevice): string => posix.normalize(device.path).replace(/^\/(dev\/)?/, '')

function deviceNode(device: OciDevice, slot: Slot, input: DeviceInput): Step {
  return {
    actor: 'parent',
    op: 'mknod',
    at: slot,
    path: inDev(device),
    mode: FILE_TYPE[device.type] | device.fileMode,
    major: device.major,
    minor: device.minor,
    uid: input.rootUid + device.uid,
    gid: input.rootGid + device.gid,
  }
}
