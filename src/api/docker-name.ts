/**
 * Docker's spelling of an engine field: the first letter in upper case, but for the names where Go's authors
 * wrote an abbreviation in capitals. The table is checked against JSON recorded from dockerd.
 */
const SPELLINGS: Readonly<Record<string, string>> = {
  containerIDFile: 'ContainerIDFile',
  dnsNames: 'DNSNames',
  globalIPv6Address: 'GlobalIPv6Address',
  ioMaximumBandwidth: 'IOMaximumBandwidth',
  ioMaximumIOps: 'IOMaximumIOps',
  ipAddress: 'IPAddress',
  ipPrefixLen: 'IPPrefixLen',
  ipRange: 'IPRange',
  ipam: 'IPAM',
  ipamConfig: 'IPAMConfig',
  ipv4Address: 'IPv4Address',
  ipv6Address: 'IPv6Address',
  ipv6Gateway: 'IPv6Gateway',
  linkLocalIps: 'LinkLocalIPs',
  oomKilled: 'OOMKilled',
  rw: 'RW',
  utsMode: 'UTSMode',
}

export function dockerName(name: string): string {
  return SPELLINGS[name] ?? name.charAt(0).toUpperCase() + name.slice(1)
}
