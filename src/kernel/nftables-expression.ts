/**
 * The expressions a rule of ours is made of: each loads into, compares or acts on the registers of nf_tables' small
 * machine. Registers are named in 4-byte words (NFT_REG32_00 = 8 … 15 more), so that concatenated keys lie side by side.
 */
import type { NetlinkWriter } from './netlink.ts'

export interface Expression {
  readonly name: string
  readonly write: (w: NetlinkWriter) => void
}

/** Word n of the registers. */
export const word = (n: number): number => 8 + n

const META = { iifname: 6, oifname: 7, l4proto: 16 } as const
const CT = { state: 0, status: 2 } as const
export const CT_ESTABLISHED_OR_RELATED = 2 | 4
/** IPS_DST_NAT: the destination of this connection was rewritten, i.e. it came by a published port. */
export const CT_STATUS_DNAT = 1 << 5

const IFNAMSIZ = 16

/** An interface name as nf_tables compares it: 16 bytes, padded with NUL. */
export function interfaceKey(name: string): Buffer {
  const key = Buffer.alloc(IFNAMSIZ)
  key.write(name, 'utf8')
  return key
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

export const meta = (key: keyof typeof META, at = 0): Expression => ({
  name: 'meta',
  write: (w) => w.attributeU32be(1, word(at)).attributeU32be(2, META[key]),
})

export const ct = (key: keyof typeof CT): Expression => ({
  name: 'ct',
  write: (w) => w.attributeU32be(1, word(0)).attributeU32be(2, CT[key]),
})

const PAYLOAD_BASE = { link: 0, network: 1, transport: 2 } as const

/** Loads from the link (Ethernet), network (IP, ARP) or transport header. */
export const payload = (
  base: keyof typeof PAYLOAD_BASE,
  offset: number,
  length: number,
  at = 0,
): Expression => ({
  name: 'payload',
  write: (w) =>
    w
      .attributeU32be(1, word(at))
      .attributeU32be(2, PAYLOAD_BASE[base])
      .attributeU32be(3, offset)
      .attributeU32be(4, length),
})

/** Loads from the first IPv6 extension header of this kind; nothing matches when there is none. */
export const extension = (kind: number, offset: number, length: number): Expression => ({
  name: 'exthdr',
  write: (w) =>
    w
      .attributeU32be(1, word(0))
      .attribute(2, Uint8Array.of(kind))
      .attributeU32be(3, offset)
      .attributeU32be(4, length),
})

const COMPARE = { '==': 0, '!=': 1, '<=': 3 } as const

/** Bytes as a number with its highest byte first. */
export const compare = (operator: keyof typeof COMPARE, value: Uint8Array): Expression => ({
  name: 'cmp',
  write: (w) => {
    w.attributeU32be(1, word(0)).attributeU32be(2, COMPARE[operator])
    w.nest(3, () => w.attribute(1, value))
  },
})

/** word 0 = word 0 & mask */
export const mask = (value: Uint8Array): Expression => ({
  name: 'bitwise',
  write: (w) => {
    w.attributeU32be(1, word(0)).attributeU32be(2, word(0)).attributeU32be(3, value.length)
    w.nest(4, () => w.attribute(1, value))
    w.nest(5, () => w.attribute(1, new Uint8Array(value.length)))
  },
})

/** The kind of the destination address (RTN_*) into word 0. */
export const destinationKind: Expression = {
  name: 'fib',
  write: (w) => w.attributeU32be(1, word(0)).attributeU32be(2, 3).attributeU32be(3, 2),
}
export const RTN_LOCAL = 2

/** Matches when the key at `at` is in the set; `not` turns it round. */
export const inSet = (
  set: string,
  options: { readonly at?: number; readonly not?: boolean } = {},
): Expression => ({
  name: 'lookup',
  write: (w) => {
    w.attributeText(1, set).attributeU32be(2, word(options.at ?? 0))
    if (options.not === true) w.attributeU32be(5, 1)
  },
})

/** Looks the key at word 0 up and puts what the map says at word 0. */
export const mapLookup = (map: string): Expression => ({
  name: 'lookup',
  write: (w) => w.attributeText(1, map).attributeU32be(2, word(0)).attributeU32be(3, word(0)),
})

/** Rewrites the destination to the address at word 0 and the port right behind it. */
export const destinationNat = (addressLength: 4 | 16): Expression => ({
  name: 'nat',
  write: (w) =>
    w
      .attributeU32be(1, 1)
      .attributeU32be(2, addressLength === 4 ? 2 : 10)
      .attributeU32be(3, word(0))
      .attributeU32be(4, word(0))
      .attributeU32be(5, word(addressLength / 4))
      .attributeU32be(6, word(addressLength / 4))
      .attributeU32be(7, 2),
})

export const masquerade: Expression = { name: 'masq', write: () => undefined }

/** Puts bytes into word `at`. */
export const immediate = (at: number, value: Uint8Array): Expression => ({
  name: 'immediate',
  write: (w) => {
    w.attributeU32be(1, word(at))
    w.nest(2, () => w.attribute(1, value))
  },
})

/** Matches what comes beyond `perSecond` packets a second (as many may come at once). */
export const limitOver = (perSecond: number): Expression => ({
  name: 'limit',
  write: (w) => {
    w.attribute(1, u64be(perSecond)).attribute(2, u64be(1))
    w.attributeU32be(3, perSecond).attributeU32be(4, 0).attributeU32be(5, 1)
  },
})

function u64be(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

const VERDICTS = { accept: 1, drop: 0, return: -5 } as const

export const verdict = (code: keyof typeof VERDICTS): Expression => ({
  name: 'immediate',
  write: (w) => {
    w.attributeU32be(1, 0)
    w.nest(2, () => w.nest(2, () => w.attributeU32be(1, VERDICTS[code])))
  },
})
