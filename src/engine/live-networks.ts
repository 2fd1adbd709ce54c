/**
 * Networks that a running container is plugged into, or taken off. The record comes last: what an engine that is
 * killed halfway leaves is in no record, and goes when the next one puts the network right (`settle`).
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { DewarError, messageOf } from '../base/errors.ts'
import type { Shim } from '../kernel/core-api.ts'
import { portTargets, type Attachment, type ContainerNetwork } from '../network/attachment.ts'
import { MOST_NETWORKS, releaseSteps } from '../network/container-steps.ts'
import { publishSteps, unpublishSteps } from '../network/firewall.ts'
import { interfaceSteps, plugSteps, routeSteps, unplugSteps } from '../network/live-steps.ts'
import { removeInsideSteps, removeMacvlanSteps } from '../network/macvlan-steps.ts'
import { enterSteps } from '../network/name-steps.ts'
import { hasNames, type Network } from '../network/network.ts'
import { hostNames } from '../network/resolver-files.ts'
import type { Container, Running } from './container.ts'
import { endpointState, type Place } from './endpoint-state.ts'
import { resolvContent } from './etc-files.ts'
import type { ContainerRecord, RecordedNetwork, RecordedPort } from './record.ts'
import type { Services } from './services.ts'
import { effectiveHostname } from './spec.ts'
import type { EndpointConfig } from './types.ts'

/** The container's lock is held, and its pid. `endpoints`: all that the container wants from now on. */
export async function plugIn(
  services: Services,
  container: Container,
  running: Running,
  wish: { network: Network; endpoint: EndpointConfig; change: Partial<ContainerRecord> },
): Promise<void> {
  const { networks, core } = services
  const { record } = container
  const { network, endpoint } = wish
  const place = networks.place(network, endpoint, freeSlot(record.network))
  const frame = networks.frame(record, startOf(record))
  const attachment = networks.attachment(network, place, endpoint)
  const attachments = [...frame.attachments, attachment]
  const { pid } = running.shim
  const undo = async (): Promise<void> => {
    const inside = [...enterSteps(pid), ...removeInsideSteps(attachment)]
    await core.run({ steps: [...unplugSteps(frame, attachment), ...inside] }).catch(() => undefined)
    networks.release(place)
  }
  try {
    // What an engine that was killed may have left of another attempt.
    const stale = removeInsideSteps(attachment)
    if (stale.length > 0) await core.run({ steps: [...enterSteps(pid), ...stale] })
    await core.run({ steps: plugSteps(frame, attachment, pid) })
    await core.run({
      steps: [
        ...enterSteps(pid),
        ...interfaceSteps(networks.known.ipv6, attachment),
        ...routeSteps(networks.known.ipv6, attachments),
      ],
    })
    const published = await movePorts(services, frame, attachments)
    const resolver = networks.servesNames(record) || hasNames(network)
    const state = endpointState(network, endpoint, place, record)
    if (container.running === running)
      await container.update({
        ...wish.change,
        network: { attachments: [...record.network.attachments, place], published, resolver, changed: true },
        networks: { ...record.networks, [network.name]: state },
      })
  } catch (error) {
    await undo()
    throw error
  }
  if (container.running !== running) {
    await undo()
    return noteEnded(services, container, wish.change)
  }
  networks.adopt(container.record)
  addHosts(services, container, network, place)
  await followNames(services, container, record, running.shim)
}

/** It ended meanwhile: its places are free already, perhaps another's, and its wishes are for the next start. */
async function noteEnded(
  { networks }: Services,
  container: Container,
  change: Partial<ContainerRecord>,
): Promise<void> {
  await container.update({ ...change, networks: networks.idle({ ...container.record, ...change }) })
}

/** Writes the new name server down, and has it listen, for a container that had none. */
async function followNames(
  services: Services,
  container: Container,
  before: ContainerRecord,
  shim: Shim,
): Promise<void> {
  const { networks } = services
  if (networks.servesNames(before) || !networks.servesNames(container.record)) return
  const path = container.paths.resolvConf
  // Who has changed the file knows better, as its own comment promises.
  if (readSmall(path) === resolvContent(services, before))
    writeFileSync(path, resolvContent(services, container.record))
  await networks.names.open(container.id, shim)
}

/** The container's lock is held, and its pid. */
export async function unplug(
  services: Services,
  container: Container,
  running: Running,
  wish: { network: Network; change: Partial<ContainerRecord> },
): Promise<void> {
  const { networks, core } = services
  const { record } = container
  const { network } = wish
  const frame = networks.frame(record, startOf(record))
  const rest = frame.attachments.filter((one) => one.network.id !== network.id)
  const gone = frame.attachments.filter((one) => one.network.id === network.id)
  const places = record.network.attachments.filter((one) => one.networkId === network.id)
  const { pid } = running.shim
  const published = await movePorts(services, frame, rest)
  await core.run({ steps: gone.flatMap((one) => unplugSteps(frame, one)) })
  await core.run({
    steps: [...enterSteps(pid), ...gone.flatMap(removeInsideSteps), ...routeSteps(networks.known.ipv6, rest)],
  })
  const states = Object.entries(record.networks).filter(([, state]) => state.networkID !== network.id)
  if (container.running !== running) return noteEnded(services, container, wish.change)
  await container.update({
    ...wish.change,
    network: {
      attachments: record.network.attachments.filter((one) => one.networkId !== network.id),
      published,
      resolver: networks.servesNames(record),
      changed: true,
    },
    networks: Object.fromEntries(states),
  })
  if (container.running !== running) return noteEnded(services, container, wish.change)
  for (const place of places) networks.release(place)
  networks.adopt(container.record)
  removeHosts(container, places)
}

/** The container has ended: what it got while it ran goes, before its addresses and ports are anybody else's. */
export async function takeBack({ networks, core, warn }: Services, record: ContainerRecord): Promise<void> {
  try {
    const frame = networks.frame(record, startOf(record))
    await core.run({ steps: [...removeMacvlanSteps(frame, 'host'), ...releaseSteps(frame, 'host')] })
  } catch (error) {
    warn(`Taking back the networks of container ${record.name} failed: ${messageOf(error)}`)
  }
}

const startOf = ({ state }: ContainerRecord): number => (state.status === 'running' ? state.startedAt : 0)

function freeSlot({ attachments }: RecordedNetwork): number {
  const taken = new Set(attachments.map(({ slot }, n) => slot ?? n))
  for (let slot = 0; slot < MOST_NETWORKS; slot += 1) if (!taken.has(slot)) return slot
  throw new DewarError('forbidden', `a container can be on ${MOST_NETWORKS} networks at most`, {
    remedy: 'disconnect it from one first',
  })
}

/**
 * Published ports lead to where the default route comes from, so that answers find the way back. A port that has
 * nowhere to lead to is published no more until the next start.
 */
async function movePorts(
  services: Services,
  frame: ContainerNetwork,
  attachments: readonly Attachment[],
): Promise<readonly RecordedPort[]> {
  const { v4, v6 } = portTargets(attachments)
  const moved = frame.published.flatMap((port) => {
    const address = port.address.includes(':') ? v6?.address6 : v4?.address
    return address === undefined ? [] : [{ ...port, address }]
  })
  const isSame =
    moved.length === frame.published.length &&
    moved.every((port, n) => port.address === frame.published[n]?.address)
  if (isSame) return frame.published
  await services.core.run({
    steps: [
      ...unpublishSteps('host', frame.table, frame.published),
      ...publishSteps('host', frame.table, moved),
    ],
  })
  return moved
}

// ---------------------------------------------------------------- /etc/hosts, which the container may have edited

/** Bytes; a container that writes more into its own file keeps it as it is. */
const LARGEST_FILE = 1024 * 1024

function readSmall(path: string): string | undefined {
  return statSync(path).size > LARGEST_FILE ? undefined : readFileSync(path, 'utf8')
}

function addHosts(services: Services, container: Container, network: Network, place: Place): void {
  const { record, paths } = container
  const text = readSmall(paths.hosts)
  if (text === undefined) return
  const hostname = effectiveHostname({
    config: record.config,
    host: record.hostConfig,
    facts: services.facts,
  })
  const names = hostNames(hostname, record.config.domainname)
  const addresses = [place.address, ...(hasNames(network) ? [place.address6] : [])]
  const lines = addresses.flatMap((address) => (address === undefined ? [] : [`${address}\t${names}\n`]))
  // In place: the container has this very file mounted.
  writeFileSync(paths.hosts, text + (text === '' || text.endsWith('\n') ? '' : '\n') + lines.join(''))
}

function removeHosts({ paths }: Container, places: readonly Place[]): void {
  const text = readSmall(paths.hosts)
  if (text === undefined) return
  const addresses = new Set(places.flatMap(({ address, address6 }) => [address, address6]))
  const kept = text.split('\n').filter((line) => !addresses.has(line.split('\t')[0]))
  writeFileSync(paths.hosts, kept.join('\n'))
}
