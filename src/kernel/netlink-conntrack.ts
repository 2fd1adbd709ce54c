/**
 * Forgetting tracked flows (ctnetlink). A flow keeps the way its first packet took: a UDP client that talked to a port
 * before it was published, or goes on talking after its container has gone, would never meet the new rules.
 * uapi linux/netfilter/nfnetlink_conntrack.h; deleting by a part of the tuple needs Linux 5.8 (EINVAL before).
 */
import { ERRNO, NETLINK_NETFILTER, NLM_F_ACK, NetlinkWriter, netlinkStep } from './netlink.ts'
import type { Actor, Step } from './plan.ts'

const CT_DELETE = (1 << 8) | 2
const CTA_TUPLE_ORIG = 1
const CTA_TUPLE_REPLY = 2
const CTA_FILTER = 25
const BY = { source: 1 << 0, protocol: 1 << 3, destinationPort: 1 << 5 } as const

/** Flows towards a port as their senders know it. */
export interface PortFlows {
  readonly protocol: number
  readonly port: number
}

/** One message per port and family; none for an empty list. */
export function forgetPortFlows(actor: Actor, ports: readonly PortFlows[], why: string): Step[] {
  return steps(actor, ports, why, (w, { protocol, port }) => {
    for (const family of [2, 10]) {
      message(w, family, () => {
        w.nest(CTA_TUPLE_ORIG, () => {
          w.nest(2, () => {
            w.attributeU8(1, protocol).attribute(3, Uint8Array.from([port >> 8, port & 0xff]))
          })
        })
        w.nest(CTA_FILTER, () => w.attributeU32(1, BY.protocol | BY.destinationPort))
      })
    }
  })
}

/** Flows that were answered by these addresses, i.e. led to them. */
export function forgetFlowsTo(actor: Actor, addresses: readonly Uint8Array[], why: string): Step[] {
  return steps(actor, addresses, why, (w, address) => {
    message(w, address.length === 4 ? 2 : 10, () => {
      w.nest(CTA_TUPLE_REPLY, () => w.nest(1, () => w.attribute(address.length === 4 ? 1 : 3, address)))
      w.nest(CTA_FILTER, () => w.attributeU32(2, BY.source))
    })
  })
}

function steps<T>(
  actor: Actor,
  list: readonly T[],
  why: string,
  write: (w: NetlinkWriter, one: T) => void,
): Step[] {
  if (list.length === 0) return []
  const w = new NetlinkWriter()
  for (const one of list) write(w, one)
  // Where the kernel cannot do it, flows end by their timeout, as they would without us.
  return [
    netlinkStep(actor, NETLINK_NETFILTER, why, w, { ignore: [ERRNO.ENOENT, ERRNO.EINVAL, ERRNO.EOPNOTSUPP] }),
  ]
}

/** Version 1 of the header: the family counts (with 0 the kernel ignores it for this message). */
function message(w: NetlinkWriter, family: number, body: () => void): void {
  w.message(CT_DELETE, NLM_F_ACK, () => {
    w.u8(family).u8(1).u16(0)
    body()
  })
}
