/**
 * Networks that only keep settings (`--config-only`), and networks made from them (`--config-from`), checked in dockerd's
 * words. Pure.
 */
import { DewarError } from '../base/errors.ts'
import type { Network } from '../network/network.ts'
import type { NetworkRequest } from './types.ts'

/** The request as it is without the other network, or what is wrong with it. */
export function withConfig(request: NetworkRequest, others: readonly Network[]): NetworkRequest {
  const { configFrom = '', configOnly = false } = request
  if (configOnly) checkOnly(request)
  if (configFrom === '') return request
  if (configOnly) refuse('a configuration network cannot depend on another configuration network')
  checkFrom(request)
  const kept = others.find(({ name, config }) => name === configFrom && config !== undefined)
  if (kept?.config === undefined)
    throw new DewarError('not-found', `configuration network ${JSON.stringify(configFrom)} does not exist`)
  const { pools, enableIPv6 } = kept.config
  return {
    ...request,
    enableIPv6,
    options: kept.options,
    labels: kept.labels,
    ipam: { driver: 'default', options: kept.ipamOptions ?? null, config: pools },
  }
}

function checkOnly({ ingress, internal, attachable, scopeGiven }: NetworkRequest): void {
  if (ingress !== true && internal !== true && attachable !== true && scopeGiven !== true) return
  refuse(
    'configuration network can only contain network specific fields. ' +
      'Network operator fields like [ ingress | internal | attachable | scope ] are not supported.',
  )
}

function checkFrom({ enableIPv6, labels = {}, ipam, options = {} }: NetworkRequest): void {
  const asked = Object.keys({ ...labels, ...ipam?.options }).length + (ipam?.config.length ?? 0)
  if (asked > 0 || enableIPv6 === true)
    refuse(
      'user specified configurations are not supported if the network depends on a configuration network',
    )
  if (Object.keys(options).length > 0)
    refuse('network driver options are not supported if the network depends on a configuration network')
}

/** Nobody is on it, so a network that was made from it is all that can keep it. */
export function checkConfigUnused(network: Network, others: readonly Network[]): void {
  if (network.config !== undefined && others.some(({ configFrom }) => configFrom === network.name))
    refuse(`error while removing network: configuration network ${JSON.stringify(network.name)} is in use`)
}

export function checkNotConfig(network: Network): void {
  if (network.config !== undefined) refuse('cannot create endpoint on configuration-only network')
}

function refuse(message: string): never {
  throw new DewarError('forbidden', message)
}
