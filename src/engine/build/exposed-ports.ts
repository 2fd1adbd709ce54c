/** EXPOSE's words as ports. */
import { DewarError } from '../../base/errors.ts'

/** "80", "80/udp", "8000-8010/tcp". Throws invalid-argument in dockerd's words. */
export function exposedPorts(words: readonly string[]): Record<string, object> {
  const ports: Record<string, object> = {}
  for (const word of words) {
    const [, range = '', protocol = 'tcp'] = /^([^/]*)(?:\/(.*))?$/.exec(word) ?? []
    if (!/^(tcp|udp|sctp)$/i.test(protocol)) throw bad(`Invalid proto: ${protocol}`)
    const [, from = '', to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range) ?? []
    const [first, last] = [Number(from), Number(to)]
    if (from === '' || last > 65_535) throw bad(`Invalid containerPort: ${range}`)
    if (last < first) throw bad(`Invalid range specified for port: ${range}`)
    for (let port = first; port <= last; port += 1) ports[`${port}/${protocol.toLowerCase()}`] = {}
  }
  return ports
}

function bad(message: string): DewarError {
  return new DewarError('invalid-argument', message)
}
