/** Settings of one interface: `--network name=NET,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.KEY=VALUE`. Pure. */
import { DewarError } from '../base/errors.ts'
import type { InterfaceSetting } from '../network/attachment.ts'
import type { EndpointConfig } from './types.ts'

export const ENDPOINT_SYSCTLS = 'com.docker.network.endpoint.sysctls'

/** Parts of a path, so nothing else may be in them. The docker client makes the option's value lower case. */
const FORM = /^net\.(ipv4|ipv6|mpls)\.([a-z0-9_]+)\.(?:IFNAME|ifname)\.([a-z0-9_]+)=([\x20-\x7e]{1,200})$/

/** Throws invalid-argument in dockerd's words. */
export function interfaceSettings({ driverOpts }: EndpointConfig): readonly InterfaceSetting[] {
  const text = driverOpts?.[ENDPOINT_SYSCTLS] ?? ''
  if (text === '') return []
  return text.split(',').map((one) => {
    const [, family, group, key, value] = FORM.exec(one.trim()) ?? []
    if (family === undefined || group === undefined || key === undefined || value === undefined) {
      throw new DewarError(
        'invalid-argument',
        `unrecognised network interface sysctl '${one}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'`,
      )
    }
    return { folder: `${family}/${group}`, key, value }
  })
}
