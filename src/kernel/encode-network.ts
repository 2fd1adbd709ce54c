/** What the steps netlink and reserve-port are encoded to for native/net.c. */

/** AF_INET, AF_INET6. */
const FAMILY = { v4: 2, v6: 10 } as const

/** SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET, and IPPROTO_*. */
const SOCKET = { tcp: [1, 6], udp: [2, 17], sctp: [5, 132] } as const

const NLM_F_ACK = 4
const NLM_F_DUMP = 0x300

/** How many acknowledgements, or ends of a dump, netlink messages ask for. */
export function answersTo(data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  let count = 0
  for (let at = 0; at + 16 <= data.length;) {
    const flags = view.getUint16(at + 6, true)
    if ((flags & NLM_F_ACK) !== 0 || (flags & NLM_F_DUMP) === NLM_F_DUMP) count++
    at += Math.max(16, (view.getUint32(at, true) + 3) & ~3)
  }
  return count
}

/** struct sockaddr_in of 4 bytes of address, struct sockaddr_in6 of 16. */
export function socketAddress(address: Uint8Array, port: number): Buffer {
  const v6 = address.length === 16
  const out = Buffer.alloc(v6 ? 28 : 16)
  out.writeUInt16LE(v6 ? FAMILY.v6 : FAMILY.v4, 0)
  out.writeUInt16BE(port, 2)
  out.set(address, v6 ? 8 : 4)
  return out
}

/** Level and name of socket options, both the same on x86-64 and arm64. */
const SO_REUSEADDR = [1, 2] as const
const IPV6_V6ONLY = [41, 26] as const
const NO_OPTION = [-1, 0] as const

/**
 * The numbers of a reserve-port step. IPv4 ports of TCP listen: every connection to them is redirected before it could
 * get here, and SO_REUSEADDR, which closed connections (TIME_WAIT) make necessary, only excludes others from a port that
 * listens. IPv6 ports are only bound, since [::1] cannot be redirected: a client there shall be refused and go on to
 * 127.0.0.1.
 */
export function socketNumbers(protocol: keyof typeof SOCKET, address: Uint8Array, port: number): number[] {
  const v6 = address.length === 16
  const listens = !v6 && protocol === 'tcp'
  const option = v6 ? IPV6_V6ONLY : listens ? SO_REUSEADDR : NO_OPTION
  return [v6 ? FAMILY.v6 : FAMILY.v4, ...SOCKET[protocol], port, ...option, listens ? 1 : 0]
}
