import { ClientError, isNotFound } from '../../client/connect.ts'
import type { Network } from '../../client/connect.ts'
import { atLeast, command, exactly, none } from '../command-spec.ts'
import { labelWord } from '../create/words.ts'
import { toMap } from '../create/environment.ts'
import { engineMessage } from '../run-argv.ts'
import { Failure } from '../failure.ts'
import { filterFlag, toFilters } from '../filters.ts'
import { bool, custom, integer, string, strings } from '../flags.ts'
import { printList } from '../list.ts'
import type { ListView } from '../list.ts'
import { goTime } from '../text/time.ts'
import { shortId } from './ps.ts'

export const listNetworks = command({
  name: 'ls',
  summary: 'List networks',
  usage: '[OPTIONS]',
  arity: none,
  flags: {
    filter: filterFlag('Provide filter values (e.g. "driver=bridge")'),
    format: string('Format output: "table", "table TEMPLATE", "json" or a Go template'),
    'no-trunc': bool('Do not truncate the output'),
    quiet: bool('Only display network IDs', { short: 'q' }),
  },
  examples: [{ command: 'dewar network ls --filter driver=bridge', about: 'The bridges' }],
  run: async (flags, _args, cli) => {
    const client = await cli.client()
    const networks = await client.networks.list(toFilters(flags.filter))
    const sorted = [...networks].sort((a, b) => a.Name.localeCompare(b.Name, 'en', { numeric: true }))
    printList(sorted, networkView(!flags['no-trunc']), { format: flags.format, quiet: flags.quiet }, cli)
  },
})

function networkView(truncate: boolean): ListView<Network> {
  return {
    typeName: '*network.networkContext',
    quiet: 'ID',
    table: ['ID', 'Name', 'Driver', 'Scope'],
    methods: { Label: (item, name) => item.Labels[name] ?? '' },
    columns: {
      ID: { header: 'NETWORK ID', of: ({ Id }) => (truncate ? shortId(Id) : Id) },
      Name: { header: 'NAME', of: ({ Name }) => Name },
      Driver: { header: 'DRIVER', of: ({ Driver }) => Driver },
      Scope: { header: 'SCOPE', of: ({ Scope }) => Scope },
      IPv4: { header: 'IPV4', of: ({ EnableIPv4 }) => String(EnableIPv4) },
      IPv6: { header: 'IPV6', of: ({ EnableIPv6 }) => String(EnableIPv6) },
      Internal: { header: 'INTERNAL', of: ({ Internal }) => String(Internal) },
      Labels: {
        header: 'LABELS',
        of: ({ Labels }) =>
          Object.entries(Labels)
            .map(([key, value]) => `${key}=${value}`)
            .sort()
            .join(','),
      },
      CreatedAt: { header: 'CREATED AT', of: ({ Created }) => goTimeOf(Created) },
    },
  }
}

function goTimeOf(iso: string): string {
  const seconds = Date.parse(iso) / 1000
  return Number.isNaN(seconds)
    ? iso
    : goTime(seconds).replace(
        / [+-]\d{4} .*$/,
        `${/\.\d+/.exec(iso)?.[0].replace(/0+$/, '') ?? ''} +0000 UTC`,
      )
}

export const createNetwork = command({
  name: 'create',
  summary: 'Create a network',
  usage: '[OPTIONS] NETWORK',
  arity: exactly(1),
  flags: {
    attachable: bool('Enable manual container attachment'),
    'aux-address': strings('Auxiliary IPv4 or IPv6 addresses used by Network driver', { value: 'map' }),
    'config-from': string('The network from which to copy the configuration'),
    'config-only': bool('Create a configuration only network'),
    driver: string('Driver to manage the Network', { short: 'd', initial: 'bridge' }),
    gateway: strings('IPv4 or IPv6 Gateway for the master subnet'),
    ingress: bool('Create swarm routing-mesh network'),
    internal: bool('Restrict external access to the network'),
    'ip-range': strings('Allocate container ip from a sub-range'),
    'ipam-driver': string('IP Address Management Driver', { initial: 'default' }),
    'ipam-opt': strings('Set IPAM driver specific options', { value: 'map' }),
    ipv4: bool('Enable or disable IPv4 address assignment', { initial: true }),
    ipv6: bool('Enable or disable IPv6 address assignment'),
    label: strings('Set metadata on a network', { check: labelWord }),
    opt: strings('Set driver specific options', { short: 'o', value: 'map' }),
    scope: string("Control the network's scope"),
    subnet: strings('Subnet in CIDR format that represents a network segment'),
  },
  examples: [
    { command: 'dewar network create back', about: 'Containers on it find each other by name' },
    { command: 'dewar network create --internal --subnet 10.9.0.0/24 vault', about: 'Without a way out' },
  ],
  run: async (flags, [name = ''], cli) => {
    const config = poolsOf(flags.subnet, flags['ip-range'], flags.gateway, toMap(flags['aux-address']))
    const client = await cli.client()
    const { Id } = await client.networks.create({
      Name: name,
      Driver: flags.driver,
      Scope: flags.scope,
      ...(flags.given.has('ipv4') ? { EnableIPv4: flags.ipv4 } : {}),
      ...(flags.given.has('ipv6') ? { EnableIPv6: flags.ipv6 } : {}),
      IPAM: { Driver: flags['ipam-driver'], Options: toMap(flags['ipam-opt']), Config: config },
      Internal: flags.internal,
      Attachable: flags.attachable,
      Ingress: flags.ingress,
      ConfigOnly: flags['config-only'],
      ConfigFrom: flags['config-from'] === '' ? null : { Network: flags['config-from'] },
      Options: toMap(flags.opt),
      Labels: toMap(flags.label),
      CheckDuplicate: true,
    })
    cli.say(Id)
  },
})

interface Pool {
  readonly Subnet: string
  IPRange?: string
  Gateway?: string
  AuxiliaryAddresses?: Record<string, string>
}

/** Which gateway and range belong to which subnet: the one that holds their address. */
function poolsOf(
  subnets: readonly string[],
  ranges: readonly string[],
  gateways: readonly string[],
  aux: Readonly<Record<string, string>>,
): object[] {
  if (subnets.length < ranges.length || subnets.length < gateways.length)
    throw new Failure('every ip-range or gateway must have a corresponding subnet')
  const pools: Pool[] = subnets.map((Subnet) => ({ Subnet }))
  const poolFor = (address: string, what: string): Pool => {
    const found =
      pools.find(({ Subnet }) => inSubnet(address, Subnet)) ?? (pools.length === 1 ? pools[0] : undefined)
    if (found === undefined) throw new Failure(`no matching subnet for ${what} ${address}`)
    return found
  }
  for (const range of ranges) poolFor(range.split('/')[0] ?? '', 'range').IPRange = range
  for (const gateway of gateways) poolFor(gateway, 'gateway').Gateway = gateway
  for (const [key, address] of Object.entries(aux)) {
    const pool = poolFor(address, 'aux-address')
    pool.AuxiliaryAddresses = { ...pool.AuxiliaryAddresses, [key]: address }
  }
  return pools
}

function inSubnet(address: string, subnet: string): boolean {
  const [base = '', length = '32'] = subnet.split('/')
  if (address.includes(':') || base.includes(':'))
    return address.includes(':') && base.includes(':') && address.split(':')[0] === base.split(':')[0]
  const number = (ip: string): number => ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const size = 2 ** (32 - Number(length))
  return Math.floor(number(address) / size) === Math.floor(number(base) / size)
}

export const removeNetworks = command({
  name: 'rm',
  summary: 'Remove one or more networks',
  usage: 'NETWORK [NETWORK...]',
  arity: atLeast(1),
  flags: { force: bool('Do not error if the network does not exist', { short: 'f' }) },
  examples: [{ command: 'dewar network rm back', about: 'When nothing is on it any more' }],
  run: async (flags, names, cli) => {
    const client = await cli.client()
    let failed = false
    for (const name of names) {
      try {
        await client.networks.remove(name)
        cli.say(name)
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        if (flags.force && isNotFound(error)) continue
        cli.warn(engineMessage(error))
        failed = true
      }
    }
    if (failed) throw new Failure('', 1)
  },
})

const ENDPOINT_FLAGS = {
  alias: strings('Add network-scoped alias for the container'),
  'driver-opt': strings('driver options for the network'),
  'gw-priority': integer(
    'Highest gw-priority provides the default gateway. Accepts positive and negative values',
  ),
  ip: string('IPv4 address (e.g., "172.30.100.104")'),
  ip6: string('IPv6 address (e.g., "2001:db8::33")'),
  link: custom<readonly string[]>(
    'Add link to another container',
    [],
    (word, previous) => [...previous, word],
    { value: 'list' },
  ),
  'link-local-ip': strings('Add a link-local address for the container'),
} as const

export const connectNetwork = command({
  name: 'connect',
  summary: 'Connect a container to a network',
  usage: '[OPTIONS] NETWORK CONTAINER',
  arity: exactly(2),
  flags: ENDPOINT_FLAGS,
  examples: [
    { command: 'dewar network connect --alias db back postgres', about: 'Others on it reach it as db' },
  ],
  run: async (flags, [network = '', container = ''], cli) => {
    const client = await cli.client()
    const options = toMap(flags['driver-opt'])
    await client.networks.connect(network, container, {
      IPAMConfig: {
        ...(flags.ip === '' ? {} : { IPv4Address: flags.ip }),
        ...(flags.ip6 === '' ? {} : { IPv6Address: flags.ip6 }),
        ...(flags['link-local-ip'].length === 0 ? {} : { LinkLocalIPs: flags['link-local-ip'] }),
      },
      Links: flags.link.length === 0 ? null : flags.link,
      Aliases: flags.alias.length === 0 ? null : flags.alias,
      DriverOpts: Object.keys(options).length === 0 ? null : options,
      GwPriority: flags['gw-priority'],
    })
  },
})

export const disconnectNetwork = command({
  name: 'disconnect',
  summary: 'Disconnect a container from a network',
  usage: '[OPTIONS] NETWORK CONTAINER',
  arity: exactly(2),
  flags: { force: bool('Force the container to disconnect from a network', { short: 'f' }) },
  examples: [{ command: 'dewar network disconnect back postgres', about: 'While it runs' }],
  run: async (flags, [network = '', container = ''], cli) => {
    const client = await cli.client()
    await client.networks.disconnect(network, container, { force: flags.force })
  },
})
