/**
 * `--link` on the default bridge, whose containers have no names for each other: a line in /etc/hosts and variables
 * about the neighbour, as dockerd makes them. Links are kept by id, so that a renamed neighbour is still meant.
 * Not done: with `enable_icc=false` dockerd opens the linked ports between the two; here they stay closed.
 */
import { DewarError, messageOf } from '../base/errors.ts'
import type { Container } from './container.ts'
import { asBytes, readGuestFile, writeGuestFile } from './guest-file.ts'
import { effectiveHostname } from './spec.ts'
import type { ContainerRecord, RecordedLink } from './record.ts'
import type { Services } from './services.ts'
import type { HostConfig } from './types.ts'

/** NAME[:ALIAS] */
export function parseLink(text: string): { readonly target: string; readonly alias: string } {
  const [target = '', alias = target.split('/').at(-1) ?? '', ...rest] = text.split(':')
  if (target !== '' && alias !== '' && rest.length === 0)
    // What inspect shows, "/neighbour:/self/alias", is taken, too.
    return { target: target.replace(/^\//, ''), alias: alias.split('/').at(-1) ?? alias }
  throw new DewarError('invalid-argument', `bad format for links: ${text}`)
}

/** Links of the default bridge; on a network of one's own they are the endpoint's, and these are ignored as by dockerd. */
export function resolveLinks(services: Pick<Services, 'containers'>, host: HostConfig): RecordedLink[] {
  if (host.networkMode !== 'default' && host.networkMode !== 'bridge') return []
  return (host.links ?? []).map((text) => {
    const { target, alias } = parseLink(text)
    const found = services.containers.lookup(target)
    if (found === undefined) {
      throw new DewarError(
        'invalid-argument',
        `could not get container for ${target}: No such container: ${target}`,
      )
    }
    if (found.record.hostConfig.networkMode === 'host') {
      throw new DewarError(
        'invalid-argument',
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      )
    }
    return { id: found.id, alias }
  })
}

interface Linked {
  readonly alias: string
  readonly record: ContainerRecord
  /** undefined: it does not run, or not on the default bridge. */
  readonly address: string | undefined
}

function linked(services: Services, record: ContainerRecord): Linked[] {
  const bridge = services.networks.known.lookup('bridge')?.id
  return (record.links ?? []).flatMap(({ id, alias }) => {
    const target = services.containers.byId(id)
    if (target === undefined) return []
    const place = target.record.network.attachments.find((one) => one.networkId === bridge)
    const address = target.running === undefined ? undefined : place?.address
    return [{ alias, record: target.record, address }]
  })
}

/** Links mean something on the default bridge alone, which a container may have left. */
function active(services: Services, record: ContainerRecord): Linked[] {
  const bridge = services.networks.known.lookup('bridge')?.id
  const isThere = record.network.attachments.some(({ networkId }) => networkId === bridge)
  return isThere ? linked(services, record) : []
}

/** For a start: all linked containers have to run. */
export function requireLinks(services: Services, record: ContainerRecord): void {
  const missing = active(services, record).find(({ address }) => address === undefined)
  if (missing === undefined) return
  throw new DewarError(
    'system',
    `Cannot link to a non running container: /${missing.record.name} AS /${record.name}/${missing.alias}`,
  )
}

/** Lines of /etc/hosts: the address, the alias, and what else the neighbour is called. */
export function linkHosts(services: Services, record: ContainerRecord): string[] {
  return active(services, record).flatMap((one) =>
    one.address === undefined ? [] : [`${one.address}\t${hostNamesOf(services, one)}`],
  )
}

function hostNamesOf(services: Services, { alias, record }: Linked): string {
  const { config, hostConfig: host, name } = record
  const hostname = effectiveHostname({ config, host, facts: services.facts })
  return [alias, hostname, ...(alias === name ? [] : [name])].join(' ')
}

/** DB_PORT=tcp://…, DB_PORT_80_TCP…, DB_NAME, DB_ENV_… for each link. */
export function linkVariables(services: Services, record: ContainerRecord): string[] {
  return active(services, record).flatMap((one) =>
    one.address === undefined ? [] : variablesOf(record.name, one, one.address),
  )
}

function variablesOf(self: string, { alias, record }: Linked, address: string): string[] {
  const prefix = alias.replaceAll('-', '_').toUpperCase()
  const ports = Object.keys(record.config.exposedPorts)
    .map((text) => ({ port: Number.parseInt(text, 10), protocol: text.split('/')[1] ?? 'tcp' }))
    .toSorted((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1))
  const url = (one: { port: number; protocol: string }): string => `${one.protocol}://${address}:${one.port}`
  const [first] = ports
  return [
    ...(first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]),
    ...ports.flatMap((one) => {
      const key = `${prefix}_PORT_${one.port}_${one.protocol.toUpperCase()}`
      return [
        `${key}=${url(one)}`,
        `${key}_ADDR=${address}`,
        `${key}_PORT=${one.port}`,
        `${key}_PROTO=${one.protocol}`,
      ]
    }),
    `${prefix}_NAME=/${self}/${alias}`,
    ...record.config.env
      .filter((entry) => entry.includes('=') && !/^(HOME|PATH)=/.test(entry))
      .map((entry) => `${prefix}_ENV_${entry}`),
  ]
}

/** As inspect shows them: "/neighbour:/self/alias"; null when there are none. */
export function shownLinks(services: Services, record: ContainerRecord): readonly string[] | null {
  const shown = linked(services, record).map((one) => `/${one.record.name}:/${record.name}/${one.alias}`)
  return shown.length === 0 ? null : shown
}

/** The further names that links give a container: "/other/alias". */
export function linkNames(services: Services, id: string): string[] {
  const names: string[] = []
  for (const { record } of services.containers.values()) {
    if (record.links === undefined) continue
    for (const link of record.links) if (link.id === id) names.push(`/${record.name}/${link.alias}`)
  }
  return names.toSorted()
}

/** `docker rm --link PARENT/ALIAS`. The neighbour stays as it is. */
export async function removeLink(services: Services, ref: string): Promise<void> {
  const [parent = '', alias, ...rest] = ref.replace(/^\//, '').split('/')
  if (alias === undefined)
    throw new DewarError('conflict', 'Conflict, cannot remove the default link name of the container')
  const container = services.containers.lookup(parent)
  const links = container?.record.links ?? []
  if (container === undefined || rest.length > 0 || !links.some((link) => link.alias === alias))
    throw new DewarError('not-found', `No such container: ${ref}`)
  await container.lock.run(() => container.update({ links: links.filter((link) => link.alias !== alias) }))
}

/** A container has started, perhaps at another address: those that are linked to it learn it. */
export function followLinks(services: Services, started: Container): void {
  for (const container of services.containers.values()) {
    const { record } = container
    const isLinked = record.links?.some(({ id }) => id === started.id) ?? false
    if (container.running === undefined || !isLinked) continue
    try {
      writeLinks(services, container)
    } catch (error) {
      // It runs, whatever the neighbour's files are like.
      services.warn(`Telling container ${record.name} where ${started.name} is failed: ${messageOf(error)}`)
    }
  }
}

function writeLinks(services: Services, { record, paths }: Container): void {
  const text = readGuestFile(paths.hosts)
  if (text === undefined) return
  const fresh = linkHosts(services, record).map(asBytes)
  // The alias tells a line of ours; what follows it may be a name the neighbour had.
  const aliasOf = (line: string): string => (line.split('\t')[1] ?? '').split(' ')[0] ?? ''
  const aliases = new Set(fresh.map(aliasOf))
  const lines = text.split('\n')
  const kept = lines.map((line) => (aliases.has(aliasOf(line)) ? undefined : line))
  const at = Math.max(0, kept.indexOf(undefined))
  const rest = kept.filter((line) => line !== undefined)
  writeGuestFile(paths.hosts, rest.toSpliced(at, 0, ...fresh).join('\n'))
}
