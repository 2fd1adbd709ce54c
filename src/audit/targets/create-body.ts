/** The body of POST /containers/create for a subject: the user's --run-args below, the probe's wishes above. */
import { isRecord, older } from '../../client/connect.ts'
import { PAUSE_ARGV } from '../target.ts'
import type { SubjectMount, SubjectOptions } from '../target.ts'
import type { DockerTargetOptions } from './docker-api.ts'

type Fields = Readonly<Record<string, unknown>>

export function bodyOf(
  options: SubjectOptions & { readonly image: string },
  target: Pick<DockerTargetOptions, 'runBody' | 'level' | 'kind'>,
  apiVersion: string,
): object {
  const base = target.runBody
  const wanted: Fields = {
    ...withoutAddress(base, apiVersion),
    Image: options.image,
    Entrypoint: [...(options.argv ?? [...PAUSE_ARGV, ...(options.words ?? [])])],
    Cmd: null,
    Env: [...wordsIn(base['Env']), ...Object.entries(options.env ?? {}).map(([k, v]) => `${k}=${v}`)],
    Labels: { ...recordIn(base['Labels']), ...options.labels },
    // A container with the host's own name is refused another one.
    ...maybe('Hostname', hostsName(base) ? undefined : options.hostname),
    ...maybe('User', options.user),
    ...maybe('WorkingDir', options.workingFolder),
    // A subject lives until it is removed; nobody attaches to it.
    ...{ Tty: false, OpenStdin: false, AttachStdin: false, AttachStdout: false, AttachStderr: false },
    HostConfig: hostConfig(options, recordIn(base['HostConfig']), target),
    ...endpointOf(options),
  }
  return merge(wanted, recordIn(options.body))
}

function hostsName(base: Fields): boolean {
  return recordIn(base['HostConfig'])['UTSMode'] === 'host'
}

function hostConfig(
  options: SubjectOptions,
  base: Fields,
  target: Pick<DockerTargetOptions, 'level' | 'kind'>,
): Fields {
  const mounts = (options.mounts ?? []).map(mountBody)
  return {
    ...base,
    AutoRemove: false,
    RestartPolicy: { Name: 'no' },
    ...(mounts.length === 0 ? {} : { Mounts: [...listIn(base['Mounts']), ...mounts] }),
    ...maybe('Memory', options.memory),
    // The same again: no swap beside it.
    ...maybe('MemorySwap', options.memory),
    ...maybe('NanoCpus', options.cpus === undefined ? undefined : Math.round(options.cpus * 1e9)),
    ...maybe('PidsLimit', options.pids),
    ...networkOf(options),
    ...levelOf(target),
  }
}

function networkOf({ network }: SubjectOptions): Fields {
  if (network === undefined || network === 'default') return {}
  return { NetworkMode: network === 'none' ? 'none' : network.name }
}

/** In place of what the run arguments say of theirs: dockerd looks for each network that is named here. */
function endpointOf({ network }: SubjectOptions): Fields {
  if (network === undefined || network === 'default') return {}
  return { NetworkingConfig: network === 'none' ? {} : { EndpointsConfig: { [network.name]: {} } } }
}

/** Our levels go by their own field; other engines know runtimes. */
function levelOf({ level, kind }: Pick<DockerTargetOptions, 'level' | 'kind'>): Fields {
  if (level === '') return {}
  return kind === 'dewar' ? { Isolation: level } : { Runtime: level }
}

function mountBody({ source, target, readOnly, type }: SubjectMount): object {
  if (type === 'tmpfs') return { Type: 'tmpfs', Target: target }
  return { Type: type ?? 'bind', Source: source, Target: target, ReadOnly: readOnly ?? false }
}

/** Since API 1.44 an address belongs to an endpoint. */
function withoutAddress(body: Fields, apiVersion: string): Fields {
  if (older(apiVersion, '1.44') !== '1.44') return body
  const { MacAddress: _, ...rest } = body
  return rest
}

/** Objects are merged, all else is replaced. */
export function merge(below: Fields, above: Fields): Fields {
  const merged = Object.entries(above).map(([key, value]): readonly [string, unknown] => {
    const old = below[key]
    return [key, isRecord(value) && isRecord(old) ? merge(old, value) : value]
  })
  const changed: Fields = Object.fromEntries<unknown>(merged)
  return { ...below, ...changed }
}

function maybe(key: string, value: unknown): Fields {
  return value === undefined ? {} : { [key]: value }
}

function recordIn(value: unknown): Fields {
  return isRecord(value) ? value : {}
}

function listIn(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) return []
  const list: readonly unknown[] = value
  return list
}

function wordsIn(value: unknown): readonly string[] {
  return listIn(value).filter((word) => typeof word === 'string')
}
