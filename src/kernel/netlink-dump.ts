/** What the kernel says of links, addresses and routes: asking (rtnetlink dumps) and reading the answers. */
import { NLM_F_ACK, NLM_F_DUMP, attributeMap, attributeString, readMessages } from './netlink.ts'
import type { NetlinkWriter } from './netlink.ts'

const RTM_NEWLINK = 16
const RTM_GETLINK = 18
const RTM_NEWADDR = 20
const RTM_GETADDR = 22
const RTM_NEWROUTE = 24
const RTM_GETROUTE = 26
const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_MASTER = 10
const IFLA_LINKINFO = 18
const IFLA_INFO_KIND = 1
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const RTA_DST = 1
const RTA_OIF = 4
const RTA_TABLE = 15
const RTPROT_RA = 9
const AF_UNSPEC = 0
const AF_INET = 2
const AF_INET6 = 10
const IFF_UP = 1

/** struct ifinfomsg that names no link. */
function linkHeader(w: NetlinkWriter): void {
  w.u32(0).u32(0).u32(0).u32(0)
}

/** One link by name; answers ENODEV when there is none. */
export function getLink(w: NetlinkWriter, name: string): void {
  w.message(RTM_GETLINK, NLM_F_ACK, () => {
    linkHeader(w)
    w.attributeText(IFLA_IFNAME, name)
  })
}

export function dumpLinks(w: NetlinkWriter): void {
  w.message(RTM_GETLINK, NLM_F_DUMP | NLM_F_ACK, () => linkHeader(w))
}

export function dumpAddresses(w: NetlinkWriter): void {
  w.message(RTM_GETADDR, NLM_F_DUMP | NLM_F_ACK, () => w.u8(AF_UNSPEC).u8(0).u8(0).u8(0).u32(0))
}

export function dumpRoutes(w: NetlinkWriter): void {
  w.message(RTM_GETROUTE, NLM_F_DUMP | NLM_F_ACK, () => w.u32(0).u32(0).u32(0))
}

export interface Link {
  readonly index: number
  readonly name: string
  readonly up: boolean
  /** "bridge", "veth"… or "" for hardware and lo. */
  readonly kind: string
  /** Index of the bridge it is on, 0 for none. */
  readonly master: number
  readonly mtu: number
  readonly mac: Buffer
}

export function parseLinks(frames: readonly Buffer[]): Link[] {
  return bodiesOf(frames, RTM_NEWLINK, 16).map((body) => {
    const attributes = attributeMap(body, 16)
    const info = attributes.get(IFLA_LINKINFO)
    return {
      index: body.readInt32LE(4),
      up: (body.readUInt32LE(8) & IFF_UP) !== 0,
      name: attributeString(attributes.get(IFLA_IFNAME)),
      kind: info === undefined ? '' : attributeString(attributeMap(info).get(IFLA_INFO_KIND)),
      master: u32Of(attributes.get(IFLA_MASTER)),
      mtu: u32Of(attributes.get(IFLA_MTU)),
      mac: attributes.get(IFLA_ADDRESS) ?? Buffer.alloc(0),
    }
  })
}

export interface InterfaceAddress {
  readonly index: number
  readonly address: Buffer
  readonly prefix: number
}

export function parseAddresses(frames: readonly Buffer[]): InterfaceAddress[] {
  return bodiesOf(frames, RTM_NEWADDR, 8).flatMap((body) => {
    const attributes = attributeMap(body, 8)
    const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS)
    return address === undefined ? [] : [{ index: body.readUInt32LE(4), prefix: body.readUInt8(1), address }]
  })
}

export interface Route {
  /** 4 or 16 bytes; zeros for a default route. */
  readonly destination: Buffer
  readonly prefix: number
  readonly index: number
  readonly table: number
  /** Learned from a router advertisement: enabling forwarding would make the host forget it. */
  readonly advertised: boolean
}

export function parseRoutes(frames: readonly Buffer[]): Route[] {
  return bodiesOf(frames, RTM_NEWROUTE, 12).flatMap((body) => {
    const family = body.readUInt8(0)
    if (family !== AF_INET && family !== AF_INET6) return []
    const attributes = attributeMap(body, 12)
    return [
      {
        destination: attributes.get(RTA_DST) ?? Buffer.alloc(family === AF_INET ? 4 : 16),
        prefix: body.readUInt8(1),
        index: u32Of(attributes.get(RTA_OIF)),
        table: attributes.has(RTA_TABLE) ? u32Of(attributes.get(RTA_TABLE)) : body.readUInt8(4),
        advertised: body.readUInt8(5) === RTPROT_RA,
      },
    ]
  })
}

function bodiesOf(frames: readonly Buffer[], type: number, least: number): Buffer[] {
  return frames
    .flatMap((frame) => [...readMessages(frame)])
    .filter((message) => message.type === type && message.body.length >= least)
    .map((message) => message.body)
}

function u32Of(value: Buffer | undefined): number {
  return value !== undefined && value.length >= 4 ? value.readUInt32LE(0) : 0
}
