/** A container's /etc/hosts, /etc/hostname and /etc/resolv.conf, written anew at each start. */
import { readFileSync } from 'node:fs'
import {
  hostnameFile,
  hostNetworkHostsFile,
  hostsFile,
  resolvConfFile,
  resolvConfPath,
} from '../network/resolver-files.ts'
import type { Container } from './container.ts'
import { renewGuestFile } from './guest-file.ts'
import { linkHosts } from './links.ts'
import type { ContainerRecord } from './record.ts'
import type { Services } from './services.ts'
import { effectiveHostname } from './spec.ts'

const RESOLV_CONF = '/etc/resolv.conf'
const SHARED = 'container:'

export function writeEtcFiles(services: Services, container: Container): void {
  const { record, paths } = container
  // In another's network it has the other's files, as the other has them now and as long as it runs.
  if (record.hostConfig.networkMode.startsWith(SHARED)) return
  const hostname = effectiveHostname({
    config: record.config,
    host: record.hostConfig,
    facts: services.facts,
  })
  renewGuestFile(paths.hostname, hostnameFile(hostname))
  renewGuestFile(paths.hosts, hostsContent(services, record, hostname))
  renewGuestFile(paths.resolvConf, resolvContent(services, record))
}

/**
 * Whose three files a container has: with `--network container:X` those of X itself, not copies, so that a line that is
 * added to one is seen by all; and what X wrote into them nobody has to read. undefined when X is gone.
 */
export function etcOwner(containers: Services['containers'], container: Container): Container | undefined {
  let owner: Container | undefined = container
  // X may be in another's network itself. Nobody can be in a circle of more than there are.
  for (let left = containers.size; left >= 0 && owner !== undefined; left -= 1) {
    const mode = owner.record.hostConfig.networkMode
    if (!mode.startsWith(SHARED)) return owner
    owner = containers.lookup(mode.slice(SHARED.length))
  }
  return undefined
}

function hostsContent(services: Services, record: ContainerRecord, hostname: string): string {
  const extraHosts = record.hostConfig.extraHosts ?? []
  const links = linkHosts(services, record)
  const bridge = services.networks.known.find('bridge')
  // IPv4 alone where there is: most servers of a host listen there, and `getent hosts` would give IPv6 first.
  const gateway = bridge.ipv4?.gateway ?? bridge.ipv6?.gateway
  const hostGateway = gateway === undefined ? [] : [gateway]
  if (record.hostConfig.networkMode === 'host')
    return hostNetworkHostsFile(readText('/etc/hosts'), extraHosts, hostGateway)
  // On the default bridge the name means the IPv4 address, as with Docker: `hostname -i` is taken for one address.
  const addresses = record.network.attachments.flatMap(({ networkId, address, address6 }) =>
    networkId === bridge.id && address !== undefined ? address : [address ?? [], address6 ?? []].flat(),
  )
  return hostsFile({
    hostname,
    domainname: record.config.domainname,
    addresses,
    extraHosts,
    hostGateway,
    links,
  })
}

export function resolvContent(services: Services, record: ContainerRecord): string {
  const { dns, dnsSearch, dnsOptions, networkMode } = record.hostConfig
  const internal = services.networks.servesNames(record)
  const plain = readText(RESOLV_CONF)
  // The engine itself asks the stub, which no container could.
  const hostPath = internal ? RESOLV_CONF : resolvConfPath(plain)
  return resolvConfFile({
    host: hostPath === RESOLV_CONF ? plain : readText(hostPath),
    hostPath,
    dns,
    search: dnsSearch,
    options: dnsOptions,
    ipv6: record.network.attachments.some((place) => place.address6 !== undefined),
    hostNetwork: networkMode === 'host',
    internal,
  })
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
