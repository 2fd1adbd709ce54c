import { isRecord } from '../client/connect.ts'
import { TYPED_NIL } from './template/print.ts'

/**
 * docker runs inspect's templates over Go structs, where a list that JSON shows as null prints as [] and a field that
 * JSON leaves out has its empty value, so that `{{if .State.Health}}` works on a container without a health check.
 * These are the fields where people see the difference. `json` still shows what the engine sent.
 */
const LEFT_OUT: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'container.State': { Health: TYPED_NIL },
  'container.Config': {
    Healthcheck: TYPED_NIL,
    StopSignal: '',
    StopTimeout: TYPED_NIL,
    Shell: [],
    ExposedPorts: {},
    MacAddress: '',
    NetworkDisabled: false,
  },
  'container.HostConfig': {
    Init: TYPED_NIL,
    Mounts: [],
    Tmpfs: {},
    Sysctls: {},
    StorageOpt: {},
    Annotations: {},
    Runtime: '',
  },
  'container.Mounts[]': { Name: '', Driver: '' },
  container: { SizeRw: TYPED_NIL, SizeRootFs: TYPED_NIL },
  'image.Config': { Healthcheck: TYPED_NIL, StopSignal: '', Shell: [], ExposedPorts: {}, Volumes: {} },
  image: { RepoTags: [], RepoDigests: [], Comment: '', Author: '', Variant: '' },
}

/** null in JSON, an empty list in Go. */
const LISTS = new Set([
  'Binds',
  'VolumesFrom',
  'CapAdd',
  'CapDrop',
  'Dns',
  'DnsOptions',
  'DnsSearch',
  'ExtraHosts',
  'GroupAdd',
  'Links',
  'SecurityOpt',
  'Devices',
  'DeviceCgroupRules',
  'DeviceRequests',
  'Ulimits',
  'BlkioWeightDevice',
  'BlkioDeviceReadBps',
  'BlkioDeviceWriteBps',
  'BlkioDeviceReadIOps',
  'BlkioDeviceWriteIOps',
  'MaskedPaths',
  'ReadonlyPaths',
  'Env',
  'Cmd',
  'Entrypoint',
  'OnBuild',
  'ExecIDs',
  'Aliases',
  'SecondaryIPAddresses',
  'SecondaryIPv6Addresses',
  'Args',
  'RepoTags',
  'RepoDigests',
  'DNSNames',
])
const MAPS = new Set([
  'Labels',
  'Volumes',
  'ExposedPorts',
  'PortBindings',
  'Options',
  'DriverOpts',
  'Tmpfs',
  'Sysctls',
])

export function withGoZeroes(kind: string, value: Record<string, unknown>): Record<string, unknown> {
  return fill(kind, value)
}

function fill(path: string, value: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = { ...value }
  for (const [key, item] of Object.entries(value)) {
    // A map's keys are the user's own words: nothing in there is a field.
    if (isRecord(item) && !MAPS.has(key)) result[key] = fill(`${path}.${key}`, item)
    else if (Array.isArray(item) && Object.hasOwn(LEFT_OUT, `${path}.${key}[]`))
      result[key] = item.map((one: unknown) => (isRecord(one) ? fill(`${path}.${key}[]`, one) : one))
    else if (item === null && LISTS.has(key)) result[key] = hidden([])
    else if (item === null && MAPS.has(key)) result[key] = hidden({})
  }
  for (const [key, empty] of Object.entries(LEFT_OUT[path] ?? {})) {
    if (!Object.hasOwn(result, key)) Object.defineProperty(result, key, { value: empty, enumerable: false })
  }
  return result
}

/** Empty to a template, null to JSON. */
function hidden<T extends object>(empty: T): T {
  return Object.defineProperty(empty, 'toJSON', { value: () => null, enumerable: false })
}
