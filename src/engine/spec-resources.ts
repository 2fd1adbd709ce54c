/** Limits as the OCI spec words them. Pure. */
import type { OciBlockRate, OciBlockWeight, OciDevice, OciDeviceRule, OciResources } from '../kernel/oci.ts'
import { DewarError } from '../base/errors.ts'
import { ALL_DEVICES, DEFAULT_DEVICE_RULES } from '../kernel/device-rules.ts'
import type { HostConfig } from './types.ts'

/** Block devices by path, resolved by the caller. */
export interface BlockDevices {
  readonly weights: readonly OciBlockWeight[]
  readonly readBps: readonly OciBlockRate[]
  readonly writeBps: readonly OciBlockRate[]
  readonly readIops: readonly OciBlockRate[]
  readonly writeIops: readonly OciBlockRate[]
}

export const NO_BLOCK_DEVICES: BlockDevices = {
  weights: [],
  readBps: [],
  writeBps: [],
  readIops: [],
  writeIops: [],
}

const CPU_PERIOD = 100_000

export function resources(
  host: HostConfig,
  rules: readonly OciDeviceRule[],
  block: BlockDevices,
): OciResources {
  const [memoryLimits, cpuLimits, blockLimits] = [memory(host), cpu(host), blockIO(host, block)]
  return {
    devices: rules,
    ...(memoryLimits === undefined ? {} : { memory: memoryLimits }),
    ...(cpuLimits === undefined ? {} : { cpu: cpuLimits }),
    ...(blockLimits === undefined ? {} : { blockIO: blockLimits }),
    // 0 and -1 both mean "no limit" in Docker's API.
    ...(host.pidsLimit !== null && host.pidsLimit > 0 ? { pids: { limit: host.pidsLimit } } : {}),
  }
}

function memory(host: HostConfig): NonNullable<OciResources['memory']> | undefined {
  const swap = swapLimit(host)
  return filled({
    ...(host.memory > 0 ? { limit: host.memory } : {}),
    ...(host.memoryReservation > 0 ? { reservation: host.memoryReservation } : {}),
    ...(swap === undefined ? {} : { swap }),
    ...(host.memorySwappiness !== null && host.memorySwappiness >= 0
      ? { swappiness: host.memorySwappiness }
      : {}),
    ...(host.oomKillDisable === true ? { disableOOMKiller: true } : {}),
  })
}

/** Memory alone means as much swap again, as with Docker. */
function swapLimit(host: HostConfig): number | undefined {
  if (host.memorySwap !== 0) return host.memorySwap
  return host.memory > 0 ? host.memory * 2 : undefined
}

function cpu(host: HostConfig): NonNullable<OciResources['cpu']> | undefined {
  const fraction =
    host.nanoCpus > 0
      ? { period: CPU_PERIOD, quota: Math.round((host.nanoCpus * CPU_PERIOD) / 1e9) }
      : undefined
  return filled({
    ...(host.cpuShares > 0 ? { shares: host.cpuShares } : {}),
    ...(host.cpuPeriod > 0 ? { period: host.cpuPeriod } : {}),
    ...(host.cpuQuota !== 0 ? { quota: host.cpuQuota } : {}),
    ...fraction,
    ...(host.cpuRealtimePeriod > 0 ? { realtimePeriod: host.cpuRealtimePeriod } : {}),
    ...(host.cpuRealtimeRuntime > 0 ? { realtimeRuntime: host.cpuRealtimeRuntime } : {}),
    ...(host.cpusetCpus !== '' ? { cpus: host.cpusetCpus } : {}),
    ...(host.cpusetMems !== '' ? { mems: host.cpusetMems } : {}),
  })
}

function blockIO(host: HostConfig, block: BlockDevices): NonNullable<OciResources['blockIO']> | undefined {
  return filled({
    ...(host.blkioWeight > 0 ? { weight: host.blkioWeight } : {}),
    ...(block.weights.length > 0 ? { weightDevice: block.weights } : {}),
    ...(block.readBps.length > 0 ? { throttleReadBpsDevice: block.readBps } : {}),
    ...(block.writeBps.length > 0 ? { throttleWriteBpsDevice: block.writeBps } : {}),
    ...(block.readIops.length > 0 ? { throttleReadIOPSDevice: block.readIops } : {}),
    ...(block.writeIops.length > 0 ? { throttleWriteIOPSDevice: block.writeIops } : {}),
  })
}

function filled<T extends object>(value: T): T | undefined {
  return Object.keys(value).length === 0 ? undefined : value
}

export interface DeviceGrant {
  readonly device: OciDevice
  readonly access: string
}

export function deviceRules(
  privileged: boolean,
  grants: readonly DeviceGrant[],
  extra: readonly OciDeviceRule[],
): OciDeviceRule[] {
  if (privileged) return [...ALL_DEVICES]
  const granted = grants.map(({ device: { type, major, minor }, access }): OciDeviceRule => {
    return { allow: true, type: type === 'b' ? 'b' : 'c', major, minor, access }
  })
  return [...DEFAULT_DEVICE_RULES, ...granted, ...extra]
}

/** `c 1:3 mr`, as `--device-cgroup-rule` takes it. */
export function parseDeviceRule(text: string): OciDeviceRule {
  const match = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text)
  if (match === null) throw new DewarError('invalid-argument', `invalid device cgroup rule format: '${text}'`)
  const [, type, major, minor, access = ''] = match
  return {
    allow: true,
    type: type === 'a' ? 'a' : type === 'b' ? 'b' : 'c',
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access,
  }
}
