/** A published or exposed port as the API lists it. */
export interface ListedPort {
  readonly IP: string
  readonly PrivatePort: number
  readonly PublicPort: number
  readonly Type: string
}

/**
 * The PORTS column: neighbours with equal numbers inside and outside become ranges.
 *
 * @example
 * displayPorts([{ IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }]) // '0.0.0.0:8080->80/tcp'
 */
export function displayPorts(ports: readonly ListedPort[]): string {
  const groups = new Map<string, { first: number; last: number }>()
  const closed: string[] = []
  const mapped: string[] = []
  for (const port of [...ports].sort(compare)) {
    if (port.IP !== '' && port.PublicPort !== port.PrivatePort) {
      mapped.push(`${joinHostPort(port.IP, String(port.PublicPort))}->${port.PrivatePort}/${port.Type}`)
      continue
    }
    const key = port.IP === '' ? port.Type : `${port.IP}/${port.Type}`
    const group = groups.get(key)
    if (group !== undefined && port.PrivatePort === group.last + 1) {
      group.last = port.PrivatePort
      continue
    }
    if (group !== undefined) closed.push(showGroup(key, group.first, group.last))
    groups.set(key, { first: port.PrivatePort, last: port.PrivatePort })
  }
  const open = [...groups].map(([key, { first, last }]) => showGroup(key, first, last))
  return [...closed, ...open, ...mapped].join(', ')
}

function showGroup(key: string, first: number, last: number): string {
  const slash = key.lastIndexOf('/')
  const range = first === last ? String(first) : `${first}-${last}`
  if (slash < 0) return `${range}/${key}`
  return `${joinHostPort(key.slice(0, slash), range)}->${range}/${key.slice(slash + 1)}`
}

function compare(a: ListedPort, b: ListedPort): number {
  return (
    a.PrivatePort - b.PrivatePort || order(a.IP, b.IP) || a.PublicPort - b.PublicPort || order(a.Type, b.Type)
  )
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** host:port, with brackets around IPv6. */
export function joinHostPort(host: string, port: string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
