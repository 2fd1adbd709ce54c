/** What one container's place on its networks means: its interfaces and its ports. And what a network has on the host. */
import { readFileSync } from 'node:fs'
import type { Step } from '../kernel/plan.ts'
import { portTargets, type Attachment } from '../network/attachment.ts'
import { removeBridgeSteps } from '../network/bridge.ts'
import type { Published } from '../network/firewall.ts'
import { removeParentSteps } from '../network/macvlan.ts'
import type { Network } from '../network/network.ts'
import { decidePorts, type DecidedPorts } from '../network/ports.ts'
import type { Container } from './container.ts'
import type { Place } from './endpoint-state.ts'
import { interfaceSettings } from './endpoint-sysctls.ts'
import type { Member } from './name-service.ts'
import { isUnguarded } from './network-options.ts'
import type { EndpointConfig } from './types.ts'

/** In the network namespace of the engine; an interface takes an IPv6 address only where none of these is set. */
export function hasIpv6(): boolean {
  return ['all', 'default'].every((name) => {
    try {
      return readFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, 'utf8').trim() === '0'
    } catch {
      return false
    }
  })
}

export function attachmentOf(
  network: Network,
  bridgeIndex: number,
  place: Place,
  endpoint: EndpointConfig,
): Attachment {
  const { address, address6, mac, slot = 0 } = place
  const linkLocal = endpoint.ipamConfig?.linkLocalIps ?? []
  return {
    network,
    bridgeIndex,
    mac,
    ...(address === undefined ? {} : { address }),
    ...(address6 === undefined ? {} : { address6 }),
    ...(linkLocal.length === 0 ? {} : { linkLocal }),
    slot,
    gatewayPriority: endpoint.gwPriority ?? 0,
    unguarded: isUnguarded(network, endpoint),
    settings: settingsOf(endpoint),
  }
}

/**
 * A record may hold what an earlier engine let pass. Who looks, or takes things back, goes on without; the next start is
 * refused with the reason (`NetworkManager.plan`).
 */
function settingsOf(endpoint: EndpointConfig): ReturnType<typeof interfaceSettings> {
  try {
    return interfaceSettings(endpoint)
  } catch {
    return []
  }
}

interface PortsInUse {
  /** What all containers publish; only a container that publishes itself looks. */
  readonly taken: () => Published[]
  /** Found taken while trying. */
  readonly busy: ReadonlySet<string>
  readonly ephemeral: readonly [number, number]
}

export function portsOf(
  { record, name, id }: Container,
  members: readonly Member[],
  { taken, busy, ephemeral }: PortsInUse,
): DecidedPorts {
  const { hostConfig, config } = record
  const { v4, v6 } = portTargets(
    members.map((one) => ({ ...one, gatewayPriority: one.endpoint.gwPriority ?? 0 })),
  )
  if (v4 === undefined && v6 === undefined) return { published: [], ports: {}, chosen: new Set() }
  const publishes = hostConfig.publishAllPorts || Object.keys(hostConfig.portBindings).length > 0
  return decidePorts({
    bindings: hostConfig.portBindings,
    exposed: config.exposedPorts,
    publishAll: hostConfig.publishAllPorts,
    ...(v4?.address === undefined ? {} : { address: v4.address }),
    ...(v6?.address6 === undefined ? {} : { address6: v6.address6 }),
    hostBinding: (v4 ?? v6)?.network.hostBinding ?? '',
    taken: publishes ? taken() : [],
    busy,
    ephemeral,
    endpoint: { name, id },
  })
}

/** Takes its interface of the host away, if the engine has made it. */
export function removeHostSteps(network: Network): Step[] {
  if (network.driver !== 'bridge') return removeParentSteps(network)
  return network.foreignBridge === true ? [] : removeBridgeSteps(network)
}
