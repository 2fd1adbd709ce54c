/** rtnetlink for interfaces that sit on another one: macvlan, VLANs; dummies to sit on; and for namespaces by number. */
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL } from './netlink.ts'
import type { NetlinkWriter } from './netlink.ts'

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_NEWNSID = 88
const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_LINK = 5
const IFLA_LINKINFO = 18
const IFLA_NET_NS_PID = 19
const IFLA_TARGET_NETNSID = 46
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const IFLA_MACVLAN_MODE = 1
const IFLA_VLAN_ID = 1
const NETNSA_NSID = 1
const NETNSA_PID = 2

export const MACVLAN_MODE = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const

function linkHeader(w: NetlinkWriter, index: number): void {
  w.u8(0).u8(0).u16(0).u32(index).u32(0).u32(0)
}

export interface MacvlanLink {
  readonly parentIndex: number
  readonly mode: keyof typeof MACVLAN_MODE
  readonly name: string
  readonly index: number
  readonly mac: Uint8Array
  /** Not given: that of the parent. */
  readonly mtu?: number
  /** A process in the network namespace it goes to; the waiting child when not given. */
  readonly pid?: number
}

/** Makes it in the namespace it belongs to, still down. The parent is one of the sender's namespace. */
export function createMacvlan(w: NetlinkWriter, link: MacvlanLink): void {
  w.message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, () => {
    linkHeader(w, link.index)
    w.attributeText(IFLA_IFNAME, link.name)
    w.attribute(IFLA_ADDRESS, link.mac)
    if (link.mtu !== undefined) w.attributeU32(IFLA_MTU, link.mtu)
    w.attributeU32(IFLA_LINK, link.parentIndex)
    w.nest(IFLA_LINKINFO, () => {
      w.attribute(IFLA_INFO_KIND, Buffer.from('macvlan'))
      w.nest(IFLA_INFO_DATA, () => w.attributeU32(IFLA_MACVLAN_MODE, MACVLAN_MODE[link.mode]))
    })
    if (link.pid === undefined) w.attributePid(IFLA_NET_NS_PID)
    else w.attributeU32(IFLA_NET_NS_PID, link.pid)
  })
}

/** An interface that leads nowhere. Answers EOPNOTSUPP where the kernel has none. */
export function createDummy(w: NetlinkWriter, name: string): void {
  w.message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, () => {
    linkHeader(w, 0)
    w.attributeText(IFLA_IFNAME, name)
    w.nest(IFLA_LINKINFO, () => w.attribute(IFLA_INFO_KIND, Buffer.from('dummy')))
  })
}

/** Answers EOPNOTSUPP where the kernel has no 8021q. */
export function createVlan(
  w: NetlinkWriter,
  link: { readonly name: string; readonly parentIndex: number; readonly vlan: number },
): void {
  w.message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, () => {
    linkHeader(w, 0)
    w.attributeText(IFLA_IFNAME, link.name)
    w.attributeU32(IFLA_LINK, link.parentIndex)
    w.nest(IFLA_LINKINFO, () => {
      w.attribute(IFLA_INFO_KIND, Buffer.from('vlan'))
      w.nest(IFLA_INFO_DATA, () => w.attributeU16(IFLA_VLAN_ID, link.vlan))
    })
  })
}

/**
 * The network namespace of `pid`, or of the waiting child, can be named by this number from now on, as long as it lives
 * (Linux 4.0). EEXIST: it has a number.
 */
export function numberNamespace(w: NetlinkWriter, number: number, pid?: number): void {
  w.message(RTM_NEWNSID, NLM_F_ACK, () => {
    w.u32(0).attributeU32(NETNSA_NSID, number)
    if (pid === undefined) w.attributePid(NETNSA_PID)
    else w.attributeU32(NETNSA_PID, pid)
  })
}

/** Deletes an interface of that namespace (Linux 4.16). ENODEV: it is gone; EINVAL: the namespace is. */
export function deleteLinkIn(w: NetlinkWriter, number: number, index: number): void {
  w.message(RTM_DELLINK, NLM_F_ACK, () => {
    linkHeader(w, index)
    w.attributeU32(IFLA_TARGET_NETNSID, number)
  })
}
