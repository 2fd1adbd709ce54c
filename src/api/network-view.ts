/** Networks and volumes as dockerd shows them, and what clients send to create them. */
import { z } from 'zod'
import type { NetworkView, VolumeView } from '../engine/types.ts'
import { codec, field, pointer, sortedMap } from './codec.ts'
import { ENDPOINT_CONFIG } from './container-schema.ts'
import { rfc3339, rfc3339Nano } from './go-time.ts'

const text = z.string()
const strings = z.record(text, text)

export const NETWORK_CREATE = codec(
  'CreateRequest',
  z.object({
    name: text.default(''),
    driver: field(text),
    scope: field(text),
    enableIPv4: pointer(z.boolean()),
    enableIPv6: pointer(z.boolean()),
    ipam: field(
      z.object({
        driver: text.default('default'),
        options: z.nullable(strings).default(null),
        config: z
          .array(
            z.object({
              subnet: field(text),
              ipRange: field(text),
              gateway: field(text),
              auxiliaryAddresses: field(strings),
            }),
          )
          .default([]),
      }),
    ),
    internal: field(z.boolean()),
    attachable: field(z.boolean()),
    ingress: field(z.boolean()),
    configOnly: field(z.boolean()),
    configFrom: field(z.nullable(z.object({ network: text.default('') }))),
    options: field(strings),
    labels: field(strings),
  }),
)
export const CONNECT = codec(
  'ConnectOptions',
  z.object({ container: text.default(''), endpointConfig: field(ENDPOINT_CONFIG) }),
)
export const DISCONNECT = codec(
  'DisconnectOptions',
  z.object({ container: text.default(''), force: z.boolean().default(false) }),
)
export const VOLUME_CREATE = codec(
  'CreateOptions',
  z.object({ name: field(text), driver: field(text), driverOpts: field(strings), labels: field(strings) }),
)

/** Lists leave the containers out since API 1.28, inspect has them. */
export function networkJson(
  network: NetworkView,
  options: { readonly minor: number; readonly containers: boolean },
): object {
  return {
    Name: network.name,
    Id: network.id,
    Created: rfc3339Nano(network.created),
    Scope: network.scope,
    Driver: network.driver,
    ...(options.minor >= 47 ? { EnableIPv4: network.enableIPv4 } : {}),
    EnableIPv6: network.enableIPv6,
    IPAM: ipamJson(network.ipam),
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: network.ingress,
    ConfigFrom: { Network: network.configFrom },
    ConfigOnly: network.configOnly,
    Containers: options.containers ? containersJson(network.containers) : {},
    Options: sortedMap(network.options),
    Labels: sortedMap(network.labels),
  }
}

function ipamJson(ipam: NetworkView['ipam']): object {
  const config = ipam.config.map((pool) => ({
    ...(pool.subnet === undefined ? {} : { Subnet: pool.subnet }),
    ...(pool.ipRange === undefined ? {} : { IPRange: pool.ipRange }),
    ...(pool.gateway === undefined ? {} : { Gateway: pool.gateway }),
    ...(pool.auxiliaryAddresses === undefined ? {} : { AuxiliaryAddresses: pool.auxiliaryAddresses }),
  }))
  return { Driver: ipam.driver, Options: ipam.options, Config: config.length === 0 ? null : config }
}

function containersJson(containers: NetworkView['containers']): object {
  const rows = Object.entries(sortedMap(containers)).map(([id, endpoint]): [string, object] => [
    id,
    {
      Name: endpoint.name,
      EndpointID: endpoint.endpointID,
      MacAddress: endpoint.macAddress,
      IPv4Address: endpoint.ipv4Address,
      IPv6Address: endpoint.ipv6Address,
    },
  ])
  return Object.fromEntries(rows)
}

export function volumeJson(volume: VolumeView): object {
  return {
    CreatedAt: rfc3339(volume.createdAt),
    Driver: volume.driver,
    Labels: volume.labels && sortedMap(volume.labels),
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: volume.options && sortedMap(volume.options),
    Scope: volume.scope,
    ...(volume.usage === undefined
      ? {}
      : { UsageData: { RefCount: volume.usage.refCount, Size: volume.usage.size } }),
  }
}
