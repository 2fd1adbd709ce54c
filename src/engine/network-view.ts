/** A network as clients see it. Pure. */
import { hasPlaces, type IpPool, type Network } from '../network/network.ts'
import type { NetworkView } from './types.ts'

export interface NetworkMember {
  readonly id: string
  readonly name: string
  readonly endpointID: string
  readonly mac: string
  readonly address?: string
  readonly address6?: string
}

export function networkView(network: Network, members: readonly NetworkMember[]): NetworkView {
  const prefix = (of: IpPool | undefined): string => of?.subnet.split('/')[1] ?? '32'
  const config = [network.ipv4, network.ipv6].flatMap((one) =>
    one === undefined
      ? []
      : [
          {
            subnet: one.subnet,
            ...(one.unasked === true ? {} : { gateway: one.gateway }),
            ...(one.ipRange === undefined ? {} : { ipRange: one.ipRange }),
            ...(one.auxiliary === undefined ? {} : { auxiliaryAddresses: one.auxiliary }),
          },
        ],
  )
  return {
    id: network.id,
    name: network.name,
    created: network.created,
    driver: network.driver,
    scope: 'local',
    enableIPv4: !hasPlaces(network) || network.ipv4 !== undefined,
    enableIPv6: network.ipv6 !== undefined || network.config?.enableIPv6 === true,
    internal: network.internal,
    attachable: network.attachable,
    ingress: false,
    configOnly: network.config !== undefined,
    configFrom: network.configFrom ?? '',
    ipam: {
      driver: 'default',
      options: network.ipamOptions ?? null,
      config: network.config?.pools ?? config,
    },
    options: network.options,
    labels: network.labels,
    containers: Object.fromEntries(
      members.map((member) => [
        member.id,
        {
          name: member.name,
          endpointID: member.endpointID,
          macAddress: member.mac,
          ipv4Address: member.address === undefined ? '' : `${member.address}/${prefix(network.ipv4)}`,
          ipv6Address: member.address6 === undefined ? '' : `${member.address6}/${prefix(network.ipv6)}`,
        },
      ]),
    ),
  }
}
