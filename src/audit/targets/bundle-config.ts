import { isRecord } from '../../client/connect.ts'
import { PAUSE_ARGV } from '../target.ts'
import type { SubjectOptions } from '../target.ts'

type Fields = Readonly<Record<string, unknown>>

/** The runtime's own default configuration with what a subject needs changed. */
export function bundleConfig(base: Fields, options: SubjectOptions, name: string): object {
  const process = record(base['process'])
  return {
    ...base,
    hostname: options.hostname ?? name.slice(0, 60),
    annotations: { ...record(base['annotations']), ...options.labels },
    root: { path: 'rootfs', readonly: false },
    process: {
      ...process,
      terminal: false,
      args: [...(options.argv ?? [...PAUSE_ARGV, ...(options.words ?? [])])],
      env: ['PATH=/', ...Object.entries(options.env ?? {}).map(([key, value]) => `${key}=${value}`)],
      cwd: options.workingFolder ?? '/',
      ...userOf(options.user),
    },
    mounts: [...list(base['mounts']), ...(options.mounts ?? []).map(mountOf)],
    linux: {
      ...record(base['linux']),
      resources: resources(record(record(base['linux'])['resources']), options),
    },
  }
}

function userOf(user: string | undefined): Fields {
  if (user === undefined) return {}
  const [uid = '0', gid = uid] = user.split(':')
  return { user: { uid: Number(uid), gid: Number(gid) } }
}

type Mount = NonNullable<SubjectOptions['mounts']>[number]

function mountOf({ source, target, readOnly, type }: Mount): object {
  if (type === 'tmpfs')
    return { destination: target, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev'] }
  return { destination: target, type: 'bind', source, options: ['rbind', readOnly === true ? 'ro' : 'rw'] }
}

function resources(base: Fields, { memory, cpus, pids }: SubjectOptions): object {
  return {
    ...base,
    ...(memory === undefined ? {} : { memory: { limit: memory } }),
    ...(cpus === undefined ? {} : { cpu: { quota: Math.round(cpus * 100_000), period: 100_000 } }),
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
  }
}

function record(value: unknown): Fields {
  return isRecord(value) ? value : {}
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) return []
  const items: readonly unknown[] = value
  return items
}
