/**
 * Networks that a running container is plugged into, or taken off. The record comes last when it is plugged in, and first
 * when it is taken off: what an engine that is killed halfway leaves is in no record, and goes when the next one puts the
 * network right (`settle`). A record that cannot be written changes nothing: to unplug again is easy, to plug in is not.
 */
import { DewarError, messageOf } from '../base/errors.ts'
import { portTargets, type Attachment, type ContainerNetwork } from '../network/attachment.ts'
import { MOST_NETWORKS, releaseSteps } from '../network/container-steps.ts'
import { publishSteps, unpublishSteps } from '../network/firewall.ts'
import { interfaceSteps, plugSteps, routeSteps, unplugSteps } from '../network/live-steps.ts'
import { removeInsideSteps, removeMacvlanSteps } from '../network/macvlan-steps.ts'
import { enterSteps } from '../network/name-steps.ts'
import { hasNames, type Network } from '../network/network.ts'
import type { Container, Running } from './container.ts'
import { endpointState } from './endpoint-state.ts'
import { hostsWith, hostsWithout, resolverWith, writeFiles, type EtcFile } from './live-etc-files.ts'
import { hasEnded } from './meanwhile.ts'
import type { ContainerRecord, RecordedNetwork, RecordedPort } from './record.ts'
import type { Services } from './services.ts'
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
  const { ipv6 } = networks.known
  const published = movedPorts(frame, attachments)
  const undo = async (): Promise<void> => {
    await core.run({ steps: unplugSteps(frame, attachment) }).catch(() => undefined)
    const inside = [...removeInsideSteps(attachment), ...routeSteps(ipv6, frame.attachments)]
    // By itself: a netlink socket stays in the namespace that it was opened in.
    await core.run({ steps: [...enterSteps(pid), ...inside] }).catch(() => undefined)
    // The ports of one that has ended are closed.
    if (container.running === running)
      await publish(services, frame.table, published, frame.published).catch(() => undefined)
    networks.release(place)
  }
  try {
    // What an engine that was killed may have left of another attempt.
    const stale = removeInsideSteps(attachment)
    if (stale.length > 0) await core.run({ steps: [...enterSteps(pid), ...stale] })
    await core.run({ steps: plugSteps(frame, attachment, pid) })
    await core.run({
      steps: [...enterSteps(pid), ...interfaceSteps(ipv6, attachment), ...routeSteps(ipv6, attachments)],
    })
    await publish(services, frame.table, frame.published, published)
    const resolver = networks.servesNames(record) || hasNames(network)
    const state = endpointState(network, endpoint, place, record)
    const change: Partial<ContainerRecord> = {
      ...wish.change,
      network: { attachments: [...record.network.attachments, place], published, resolver, changed: true },
      networks: { ...record.networks, [network.name]: state },
    }
    if (container.running === running) {
      const hosts = hostsWith(services, container, network, place)
      const resolv = resolverWith(services, container, { ...container.record, ...change })
      await updateWith(container, [...hosts, ...resolv], change)
    }
  } catch (error) {
    await undo()
    throw error
  }
  if (container.running !== running) {
    await undo()
    return noteEnded(services, container, wish.change)
  }
  networks.adopt(container.record)
  if (!networks.servesNames(record) && networks.servesNames(container.record))
    await networks.names.open(container.id, running.shim)
}

/** Both or neither. Answers what puts the files back. */
async function updateWith(
  container: Container,
  files: readonly EtcFile[],
  change: Partial<ContainerRecord>,
): Promise<() => void> {
  const putBack = writeFiles(files)
  try {
    await container.update(change)
    return putBack
  } catch (error) {
    putBack()
    throw error
  }
}

/** It ended meanwhile: its places are free already, perhaps another's, and its wishes are for the next start. */
async function noteEnded(
  { networks }: Services,
  container: Container,
  change: Partial<ContainerRecord>,
): Promise<void> {
  await container.update({ ...change, networks: networks.idle({ ...container.record, ...change }) })
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
  const states = Object.entries(record.networks).filter(([, state]) => state.networkID !== network.id)
  if (container.running !== running) return noteEnded(services, container, wish.change)
  const putBack = await updateWith(container, hostsWithout(container, places), {
    ...wish.change,
    network: {
      attachments: record.network.attachments.filter((one) => one.networkId !== network.id),
      published: movedPorts(frame, rest),
      resolver: networks.servesNames(record),
      changed: true,
    },
    networks: Object.fromEntries(states),
  })
  try {
    await takeOff(services, { container, running }, frame, { gone, rest })
  } catch (error) {
    if (container.running === running) {
      putBack()
      await container.remember(recorded(record), services.warn)
      throw error
    }
    // It has ended on the way, and its interfaces go with it.
    await core.run({ steps: gone.flatMap((one) => unplugSteps(frame, one)) }).catch(() => undefined)
  }
  if (container.running !== running) return noteEnded(services, container, wish.change)
  for (const place of places) networks.release(place)
  networks.adopt(container.record)
}

/** Once its interface is gone it is off, whatever default route the others give: a guest may have set those down. */
async function takeOff(
  services: Services,
  { container, running }: { readonly container: Container; readonly running: Running },
  frame: ContainerNetwork,
  { gone, rest }: { readonly gone: readonly Attachment[]; readonly rest: readonly Attachment[] },
): Promise<void> {
  const { networks, core } = services
  await publish(services, frame.table, frame.published, movedPorts(frame, rest))
  await core.run({ steps: gone.flatMap((one) => unplugSteps(frame, one)) })
  const enter = enterSteps(running.shim.pid)
  const inside = gone.flatMap(removeInsideSteps)
  if (inside.length > 0) await core.run({ steps: [...enter, ...inside] })
  try {
    await core.run({ steps: [...enter, ...routeSteps(networks.known.ipv6, rest)] })
  } catch (error) {
    if (hasEnded(container, running)) throw error
    services.warn(notRouted(container, error))
  }
}

const notRouted = ({ record }: Container, error: unknown): string =>
  `Setting routes of container ${record.name} failed: ${messageOf(error)}`

/**
 * The default routes of a container that has been plugged in or taken off while it ran, by its record: an engine that was
 * killed on the way may have left it without.
 */
export async function routeAgain({ networks, core, warn }: Services, container: Container): Promise<void> {
  const { record, running } = container
  if (running === undefined || record.network.changed !== true) return
  const { attachments } = networks.frame(record, startOf(record))
  const routes = routeSteps(networks.known.ipv6, attachments)
  await core
    .run({ steps: [...enterSteps(running.shim.pid), ...routes] })
    .catch((error: unknown) => warn(notRouted(container, error)))
}

/** What a disconnection changes of it. */
function recorded({ endpoints, leftFirst = false, network, networks }: ContainerRecord) {
  return { endpoints, leftFirst, network, networks }
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
function movedPorts(
  { published }: ContainerNetwork,
  attachments: readonly Attachment[],
): readonly RecordedPort[] {
  const { v4, v6 } = portTargets(attachments)
  return published.flatMap((port) => {
    const address = port.address.includes(':') ? v6?.address6 : v4?.address
    return address === undefined ? [] : [{ ...port, address }]
  })
}

async function publish(
  { core }: Services,
  table: string,
  from: readonly RecordedPort[],
  to: readonly RecordedPort[],
): Promise<void> {
  if (from.length === to.length && to.every((port, n) => port.address === from[n]?.address)) return
  await core.run({ steps: [...unpublishSteps('host', table, from), ...publishSteps('host', table, to)] })
}
