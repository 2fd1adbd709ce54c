/**
 * rtnetlink(7): links, addresses and routes as messages. Each function appends one message to the writer, so that
 * several travel in one sendmsg and keep their order. Addresses are raw bytes: 4 (IPv4) or 16 (IPv6).
 *
 * Interface indexes are chosen by us where the kernel lets us (veth pairs, since Linux 3.7): then the addresses and
 * routes of the container can be written down before the interface exists, and no dump is needed in between.
 */
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from './netlink.ts'
import type { NetlinkWriter } from './netlink.ts'

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_SETLINK = 19
const RTM_NEWADDR = 20
const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25

const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_MASTER = 10
const IFLA_PROTINFO = 12
const IFLA_LINKINFO = 18
const IFLA_NET_NS_PID = 19
const IFLA_NUM_TX_QUEUES = 31
const IFLA_NUM_RX_QUEUES = 32
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const VETH_INFO_PEER = 1
const IFLA_BR_MCAST_SNOOPING = 23
/** BR_BOOLOPT_NO_LL_LEARN is its bit 0 (Linux 5.0). */
const IFLA_BR_MULTI_BOOLOPT = 46
const IFLA_BRPORT_MODE = 4
const IFLA_BRPORT_ISOLATED = 33

const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_BROADCAST = 4
const IFA_FLAGS = 8
/** No duplicate address detection: the address is usable at once. We hand addresses out, nobody else does. */
const IFA_F_NODAD = 0x02
const IFA_F_PERMANENT = 0x80

const RTA_OIF = 4
const RTA_GATEWAY = 5
const RT_TABLE_MAIN = 254
const RTPROT_BOOT = 3

const AF_UNSPEC = 0
const AF_INET = 2
const AF_BRIDGE = 7
const AF_INET6 = 10
const IFF_UP = 1

/** The loopback interface is the first of every network namespace (net/core/dev.c, loopback_net_init). */
export const LOOPBACK_INDEX = 1

const familyOf = (address: Uint8Array): number => (address.length === 4 ? AF_INET : AF_INET6)

function linkHeader(w: NetlinkWriter, index: number, up: boolean, family = AF_UNSPEC): void {
  w.u8(family)
    .u8(0)
    .u16(0)
    .u32(index)
    .u32(up ? IFF_UP : 0)
    .u32(up ? IFF_UP : 0)
}

/** Creates a bridge that is down. Answers EEXIST when the name is taken. */
export function createBridge(
  w: NetlinkWriter,
  bridge: { readonly name: string; readonly mac: Uint8Array; readonly mtu: number },
): void {
  w.message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, () => {
    linkHeader(w, 0, false)
    w.attributeText(IFLA_IFNAME, bridge.name)
    // An address that was set stays; otherwise the bridge takes the lowest of its ports and changes under its users.
    w.attribute(IFLA_ADDRESS, bridge.mac)
    w.attributeU32(IFLA_MTU, bridge.mtu)
    w.nest(IFLA_LINKINFO, () => w.attribute(IFLA_INFO_KIND, Buffer.from('bridge')))
  })
}

/**
 * What a hostile port could abuse is off. Learning from frames to 01:80:c2:00:00:0x, which packet filters do not see:
 * a port could draw a neighbour's traffic to itself. Multicast snooping: a port that sends the questions of a querier
 * decides who hears what, and may fill the table of groups; without it multicast goes to all, as without a querier.
 */
export function hardenBridge(w: NetlinkWriter, index: number): void {
  linkMessage(w, RTM_NEWLINK, NLM_F_ACK, { index }, false, () =>
    w.nest(IFLA_LINKINFO, () => {
      w.attribute(IFLA_INFO_KIND, Buffer.from('bridge'))
      w.nest(IFLA_INFO_DATA, () => {
        w.attributeU8(IFLA_BR_MCAST_SNOOPING, 0)
        // struct br_boolopt_multi: values, and which of them are meant.
        w.attribute(IFLA_BR_MULTI_BOOLOPT, Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0))
      })
    }),
  )
}

export interface VethPair {
  readonly name: string
  /** Chosen index of the host's end; the kernel takes the peer's only when this one is given too. */
  readonly index: number
  readonly bridgeIndex: number
  readonly mtu: number
  readonly peer: {
    readonly name: string
    readonly index: number
    readonly mac: Uint8Array
    /** A process in the network namespace the peer goes to; the waiting child when not given. */
    readonly pid?: number
  }
}

/**
 * Creates a veth pair in one message: the host's end up and on the bridge, the peer in the waiting child's network
 * namespace, named, with its MAC, still down (what is done to it before it is up is the guest's part).
 */
export function createVeth(w: NetlinkWriter, pair: VethPair): void {
  w.message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, () => {
    linkHeader(w, pair.index, true)
    w.attributeText(IFLA_IFNAME, pair.name)
    w.attributeU32(IFLA_MTU, pair.mtu)
    w.attributeU32(IFLA_MASTER, pair.bridgeIndex)
    oneQueue(w)
    w.nest(IFLA_LINKINFO, () => {
      w.attribute(IFLA_INFO_KIND, Buffer.from('veth'))
      w.nest(IFLA_INFO_DATA, () => {
        w.nest(VETH_INFO_PEER, () => {
          linkHeader(w, pair.peer.index, false)
          w.attributeText(IFLA_IFNAME, pair.peer.name)
          w.attributeU32(IFLA_MTU, pair.mtu)
          w.attribute(IFLA_ADDRESS, pair.peer.mac)
          oneQueue(w)
          const { pid } = pair.peer
          if (pid === undefined) w.attributePid(IFLA_NET_NS_PID)
          else w.attributeU32(IFLA_NET_NS_PID, pid)
        })
      })
    })
  })
}

/**
 * A veth uses one queue each way unless told otherwise. Unasked, the kernel makes as many as there are processors, then
 * turns all but one off, which waits for RCU twice on each side: 0.3 ms of a start (veth_init_queues, Linux 5.13).
 */
function oneQueue(w: NetlinkWriter): void {
  w.attributeU32(IFLA_NUM_TX_QUEUES, 1)
  w.attributeU32(IFLA_NUM_RX_QUEUES, 1)
}

export type LinkRef = { readonly index: number } | { readonly name: string }

function linkMessage(
  w: NetlinkWriter,
  type: number,
  flags: number,
  link: LinkRef,
  up: boolean,
  more?: () => void,
): void {
  w.message(type, flags, () => {
    linkHeader(w, 'index' in link ? link.index : 0, up)
    if ('name' in link) w.attributeText(IFLA_IFNAME, link.name)
    more?.()
  })
}

export function setLinkUp(w: NetlinkWriter, link: LinkRef): void {
  linkMessage(w, RTM_SETLINK, NLM_F_ACK, link, true)
}

/** The link should be down: older kernels refuse to rename one that is up (EBUSY). */
export function renameLink(w: NetlinkWriter, index: number, name: string): void {
  linkMessage(w, RTM_SETLINK, NLM_F_ACK, { index }, false, () => w.attributeText(IFLA_IFNAME, name))
}

export interface BridgePort {
  /** Frames may leave by the port they came in. */
  readonly hairpin: boolean
  /** Talks only to the bridge itself and to ports that are not isolated (Linux 4.18). */
  readonly isolated: boolean
}

export function setBridgePort(w: NetlinkWriter, index: number, port: BridgePort): void {
  w.message(RTM_SETLINK, NLM_F_ACK, () => {
    linkHeader(w, index, false, AF_BRIDGE)
    w.nest(IFLA_PROTINFO, () => {
      w.attributeU8(IFLA_BRPORT_MODE, port.hairpin ? 1 : 0)
      if (port.isolated) w.attributeU8(IFLA_BRPORT_ISOLATED, 1)
    })
  })
}

/**
 * Nothing comes in or goes out by this link any more; a bridge forgets who was behind it. Whoever has the other end of a veth
 * cannot undo it, while a bridge port that was told to be silent (IFLA_BRPORT_STATE) speaks again when the carrier comes
 * back (br_port_carrier_check). Takes 0.4 ms; to delete the link waits for the kernel's readers (rcu_barrier: 30 ms
 * measured). ENODEV when there is none.
 */
export function setLinkDown(w: NetlinkWriter, index: number): void {
  w.message(RTM_SETLINK, NLM_F_ACK, () => {
    w.u8(AF_UNSPEC).u8(0).u16(0).u32(index).u32(0).u32(IFF_UP)
  })
}

/** Answers ENODEV when there is none. Deleting one end of a veth pair deletes both. */
export function deleteLink(w: NetlinkWriter, link: LinkRef): void {
  linkMessage(w, RTM_DELLINK, NLM_F_ACK, link, false)
}

/** Adds an address or leaves it as it is. */
export function addAddress(w: NetlinkWriter, index: number, address: Uint8Array, prefix: number): void {
  w.message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, () => {
    w.u8(familyOf(address)).u8(prefix).u8(IFA_F_PERMANENT).u8(0).u32(index)
    w.attribute(IFA_LOCAL, address).attribute(IFA_ADDRESS, address)
    if (address.length === 4) w.attribute(IFA_BROADCAST, broadcastOf(address, prefix))
    else w.attributeU32(IFA_FLAGS, IFA_F_PERMANENT | IFA_F_NODAD)
  })
}

function broadcastOf(address: Uint8Array, prefix: number): Uint8Array {
  return address.map((byte, i) => byte | (0xff >> Math.min(8, Math.max(0, prefix - i * 8))))
}

/** The default route of the gateway's family. */
export function addDefaultRoute(w: NetlinkWriter, index: number, gateway: Uint8Array): void {
  w.message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, () => {
    // rtm_family, dst_len, src_len, tos, table, protocol, scope universe, type unicast, flags
    w.u8(familyOf(gateway)).u8(0).u8(0).u8(0).u8(RT_TABLE_MAIN).u8(RTPROT_BOOT).u8(0).u8(1).u32(0)
    w.attribute(RTA_GATEWAY, gateway).attributeU32(RTA_OIF, index)
  })
}

/** Takes the default route of a family (of the address's length) away; ESRCH (IPv6 also ENOENT) when there is none. */
export function deleteDefaultRoute(w: NetlinkWriter, length: 4 | 16): void {
  w.message(RTM_DELROUTE, NLM_F_ACK, () => {
    const family = length === 4 ? AF_INET : AF_INET6
    // Scope "nowhere" (255) and no protocol match any.
    w.u8(family).u8(0).u8(0).u8(0).u8(RT_TABLE_MAIN).u8(0).u8(255).u8(0).u32(0)
  })
}
