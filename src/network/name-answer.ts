/** What a container's question gets for an answer: from the networks it is on, from outside, or none. Pure. */
import {
  RCODE,
  TYPE,
  encodeName,
  reverseAddress,
  type Answer,
  type DnsRecord,
  type Query,
} from './dns-message.ts'
import type { Addresses, Zone } from './name-table.ts'

/** What one container may know. */
export interface ContainerNames {
  readonly zones: readonly {
    readonly zone: Zone
    /** `--link`: its own name for a neighbour → the neighbour's. */
    readonly links: ReadonlyMap<string, string>
  }[]
  /** Whether questions about anything else may leave; not from networks that are all `--internal`. */
  readonly forwards: boolean
  /** The container's resolver has an own `ndots`: names without a dot are completed by it and never asked outside. */
  readonly completesNames: boolean
  /** Servers to ask; undefined: the host's. */
  readonly servers: readonly string[] | undefined
}

export type Decision = { readonly kind: 'answer'; readonly answer: Answer } | { readonly kind: 'forward' }

/** Seconds; what dockerd gives. Resolvers of libc keep nothing; those that do must notice when a container moves. */
const TTL = 600

const reply = (rcode: number, records: readonly DnsRecord[] = []): Decision => ({
  kind: 'answer',
  answer: { rcode, records, ttl: TTL },
})

/** `shuffle`: puts several holders of one name into an order of its choice. */
export function decide(
  query: Query,
  names: ContainerNames,
  shuffle: <T>(list: readonly T[]) => readonly T[],
): Decision {
  if (!query.isInternet || query.name === '') return outside(query, names)
  if (query.type === TYPE.PTR) {
    const address = reverseAddress(query.name)
    const found = address === undefined ? undefined : firstOf(names, ({ zone }) => zone.nameOf(address))
    const data = found === undefined ? undefined : encodeName(found)
    return data === undefined ? outside(query, names) : reply(RCODE.ok, [{ type: TYPE.PTR, data }])
  }
  const found = findName(query.name, names)
  if (found === undefined) return outside(query, names)
  // A name that is there without the kind that was asked for is NODATA, never "no such name": a client that asks
  // for AAAA first would give up.
  const { A, AAAA, ANY } = TYPE
  const records: DnsRecord[] = []
  if (query.type === A || query.type === ANY) records.push(...found.v4.map((data) => ({ type: A, data })))
  if (query.type === AAAA || query.type === ANY)
    records.push(...found.v6.map((data) => ({ type: AAAA, data })))
  return reply(RCODE.ok, shuffle(records))
}

function outside(query: Query, names: ContainerNames): Decision {
  if (!names.forwards) return reply(RCODE.serverFailure)
  const isAddress = query.type === TYPE.A || query.type === TYPE.AAAA
  if (names.completesNames && isAddress && !query.name.includes('.')) return reply(RCODE.ok)
  return { kind: 'forward' }
}

/** The name as it is on all networks; then `name.network`, which may have dots on both sides. Links come first. */
function findName(name: string, names: ContainerNames): Addresses | undefined {
  const exact = firstOf(names, (one) => lookUp(one, name))
  if (exact !== undefined) return exact
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
    const network = name.slice(dot + 1)
    const found = firstOf(names, (one) =>
      one.zone.networkName.toLowerCase() === network ? lookUp(one, name.slice(0, dot)) : undefined,
    )
    if (found !== undefined) return found
  }
  return undefined
}

function lookUp({ zone, links }: ContainerNames['zones'][number], name: string): Addresses | undefined {
  return zone.find(links.get(name) ?? name)
}

function firstOf<T>(
  names: ContainerNames,
  look: (one: ContainerNames['zones'][number]) => T | undefined,
): T | undefined {
  for (const one of names.zones) {
    const found = look(one)
    if (found !== undefined) return found
  }
  return undefined
}

/** A fair order (Fisher and Yates), so that every holder of a shared name comes first equally often. */
export function shuffled<T>(list: readonly T[]): readonly T[] {
  const all = [...list]
  for (let i = all.length - 1; i > 0; i -= 1) {
    const j = Math.floor(Math.random() * (i + 1))
    const [a, b] = [all[i], all[j]]
    if (a === undefined || b === undefined) continue
    all[i] = b
    all[j] = a
  }
  return all
}
