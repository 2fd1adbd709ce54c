/** `--device` and the block devices of `--device-read-bps` and friends, looked up on the host. */
import { readdir, stat } from 'node:fs/promises'
import { posix } from 'node:path'
import { DewarError, errnoOf } from '../base/errors.ts'
import type { OciDevice } from '../kernel/oci.ts'
import type { BlockDevices, DeviceGrant } from './spec-resources.ts'
import type { HostConfig } from './types.ts'

const S_IFMT = 0o170000
const S_IFCHR = 0o020000
const S_IFBLK = 0o060000

/** glibc's gnu_dev_major and gnu_dev_minor, in doubles (rdev can exceed 32 bits). */
export function deviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  const low = rdev % 2 ** 32
  const high = Math.floor(rdev / 2 ** 32)
  return {
    major: ((low >>> 8) & 0xfff) + (high & ~0xfff),
    minor: (low & 0xff) + ((low >>> 12) & ~0xff & 0xfffff) + 0,
  }
}

/** What is looked at on the host for a start. */
export function devicePaths(host: HostConfig): string[] {
  const limits = [
    ...(host.blkioWeightDevice ?? []),
    ...(host.blkioDeviceReadBps ?? []),
    ...(host.blkioDeviceWriteBps ?? []),
    ...(host.blkioDeviceReadIOps ?? []),
    ...(host.blkioDeviceWriteIOps ?? []),
  ]
  const named = host.privileged ? [] : (host.devices ?? [])
  return [...named.map(({ pathOnHost }) => pathOnHost), ...limits.map(({ path }) => path)]
}

export async function resolveDevices(host: HostConfig): Promise<DeviceGrant[]> {
  if (host.privileged) return hostDevices('/dev', 0)
  const grants: DeviceGrant[] = []
  for (const request of host.devices ?? []) {
    const access = request.cgroupPermissions || 'rwm'
    if (!/^[rwm]{1,3}$/.test(access)) {
      throw new DewarError('invalid-argument', `invalid device mode: ${access}`, {
        remedy: 'use letters of rwm',
      })
    }
    grants.push(
      ...(await resolveDevice(request.pathOnHost, request.pathInContainer || request.pathOnHost, access)),
    )
  }
  return grants
}

async function resolveDevice(
  pathOnHost: string,
  pathInContainer: string,
  access: string,
): Promise<DeviceGrant[]> {
  const info = await stat(pathOnHost).catch((error: unknown) => {
    throw gathering(
      pathOnHost,
      errnoOf(error) === 'ENOENT' ? 'no such file or directory' : String(errnoOf(error)),
      error,
    )
  })
  if (info.isDirectory()) {
    const found = await devicesIn(pathOnHost, pathInContainer, access)
    if (found.length === 0) throw gathering(pathOnHost, 'not a device node')
    return found
  }
  const device = deviceOf(posix.normalize(pathInContainer), info.mode, info.rdev)
  if (device === undefined) throw gathering(pathOnHost, 'not a device node')
  return [{ device, access }]
}

function gathering(path: string, why: string, cause?: unknown): DewarError {
  return new DewarError(
    'invalid-argument',
    `error gathering device information while adding custom device "${path}": ${why}`,
    { cause },
  )
}

async function devicesIn(folder: string, target: string, access: string): Promise<DeviceGrant[]> {
  const found: DeviceGrant[] = []
  for (const name of await readdir(folder)) {
    const info = await stat(posix.join(folder, name)).catch(() => undefined)
    const device = info === undefined ? undefined : deviceOf(posix.join(target, name), info.mode, info.rdev)
    if (device !== undefined) found.push({ device, access })
  }
  return found
}

/** A container brings its own of these. */
const OWN = new Set([
  'pts',
  'shm',
  'mqueue',
  'fd',
  'console',
  'ptmx',
  'null',
  'zero',
  'full',
  'random',
  'urandom',
  'tty',
])

/** All devices of the host, for `--privileged`. */
async function hostDevices(folder: string, depth: number): Promise<DeviceGrant[]> {
  const found: DeviceGrant[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if ((depth === 0 && OWN.has(entry.name)) || entry.isSymbolicLink()) continue
    const path = posix.join(folder, entry.name)
    if (entry.isDirectory()) {
      if (depth < 4) found.push(...(await hostDevices(path, depth + 1)))
      continue
    }
    const info = await stat(path).catch(() => undefined)
    const device = info === undefined ? undefined : deviceOf(path, info.mode, info.rdev)
    if (device !== undefined) found.push({ device, access: 'rwm' })
  }
  return found
}

function deviceOf(path: string, mode: number, rdev: number): OciDevice | undefined {
  const kind = mode & S_IFMT
  if (kind !== S_IFCHR && kind !== S_IFBLK) return undefined
  return {
    path,
    type: kind === S_IFBLK ? 'b' : 'c',
    ...deviceNumbers(rdev),
    fileMode: mode & 0o777,
    uid: 0,
    gid: 0,
  }
}

export async function resolveBlockDevices(host: HostConfig): Promise<BlockDevices> {
  const rates = (list: HostConfig['blkioDeviceReadBps']) =>
    Promise.all((list ?? []).map(async ({ path, rate }) => ({ ...(await blockNumbers(path)), rate })))
  const weights = (host.blkioWeightDevice ?? []).map(async ({ path, weight }) => ({
    ...(await blockNumbers(path)),
    weight,
  }))
  return {
    weights: await Promise.all(weights),
    readBps: await rates(host.blkioDeviceReadBps),
    writeBps: await rates(host.blkioDeviceWriteBps),
    readIops: await rates(host.blkioDeviceReadIOps),
    writeIops: await rates(host.blkioDeviceWriteIOps),
  }
}

async function blockNumbers(path: string): Promise<{ readonly major: number; readonly minor: number }> {
  const info = await stat(path).catch(() => undefined)
  if (info !== undefined && (info.mode & S_IFMT) === S_IFBLK) return deviceNumbers(info.rdev)
  throw new DewarError(
    'invalid-argument',
    `limiting the device ${path} failed: it is no block device of this host`,
  )
}

/** No driver for GPUs and the like is here to serve them; in dockerd's words. */
export function refuseDeviceRequests({ deviceRequests }: Pick<HostConfig, 'deviceRequests'>): void {
  const [request] = deviceRequests ?? []
  if (request === undefined) return
  const capabilities = (request.capabilities ?? []).map((names) => `[${names.join(' ')}]`).join(' ')
  const driver = JSON.stringify(request.driver)
  throw new DewarError(
    'system',
    `could not select device driver ${driver} with capabilities: [${capabilities}]`,
    {
      remedy: 'give single devices with --device',
    },
  )
}
