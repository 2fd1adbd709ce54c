/**
 * nf_tables over netlink: tables, chains, sets, maps, elements and rules as one atomic batch, without `nft`.
 * A batch is carried out whole or not at all. uapi linux/netfilter/nf_tables.h; all integers are big endian.
 */
import {
  NETLINK_NETFILTER,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NetlinkWriter,
  netlinkStep,
} from './netlink.ts'
import type { NetlinkStepOptions } from './netlink.ts'
import type { Expression } from './nftables-expression.ts'
import type { Actor, Step } from './plan.ts'

export type IpFamily = 'ip' | 'ip6'
/** `bridge` sees whole frames, on their way through any bridge. */
export type NftFamily = IpFamily | 'bridge'
export const FAMILY: Record<NftFamily, number> = { ip: 2, bridge: 7, ip6: 10 }

export const SUBSYS = 10
const BATCH_BEGIN = 0x10
const BATCH_END = 0x11
export const MSG = {
  newTable: 0,
  getTable: 1,
  delTable: 2,
  newChain: 3,
  getChain: 4,
  newRule: 6,
  newSet: 9,
  newElement: 12,
  getElement: 13,
  delElement: 14,
} as const

const HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const
export type Hook = keyof typeof HOOKS

const SET_FLAG_INTERVAL = 0x4
const SET_FLAG_MAP = 0x8
const SET_FLAG_CONCAT = 0x80

/** Type numbers of libnftables, only for `nft list` to print keys as a person reads them; 6 bits each when joined. */
export const NFT_TYPE = { ip: 7, ip6: 8, ether: 9, protocol: 12, service: 13, ifname: 41 } as const
export const joinedType = (...types: readonly number[]): number =>
  types.reduce((all, one) => (all << 6) | one, 0)

export interface SetDefinition {
  readonly name: string
  readonly keyType: number
  readonly keyLength: number
  /** For a map. */
  readonly data?: { readonly type: number; readonly length: number }
  /** Bytes of each part of a joined key, for a set of ranges (`keyEnd`); needs Linux 5.6. */
  readonly fields?: readonly number[]
  /** `nft list` reads the key in host byte order (interface names alone want that, or they are shown as ""). */
  readonly hostOrder?: boolean
}

/** NFTNL_UDATA_SET_KEYBYTEORDER: type 0, length 4, BYTEORDER_HOST_ENDIAN (1). For `nft`; the kernel only keeps it. */
const HOST_ORDER = Buffer.from([0, 4, 1, 0, 0, 0])

export interface Element {
  readonly key: Uint8Array
  /** Last key of a range, in a set with `fields`. */
  readonly keyEnd?: Uint8Array
  readonly data?: Uint8Array
}

/** Elements per message: an attribute holds 65535 bytes, an element of ours at most 88. */
const ELEMENTS_PER_MESSAGE = 500

export class NftBatch {
  readonly #writer = new NetlinkWriter()
  #setId = 0

  constructor() {
    this.#edge(BATCH_BEGIN)
  }

  /** Adds a table, or leaves it as it is. */
  table(family: NftFamily, name: string): this {
    return this.#message(MSG.newTable, family, NLM_F_CREATE, () => this.#writer.attributeText(1, name))
  }

  /** Deletes a table with all in it. Answers ENOENT when there is none. */
  deleteTable(family: NftFamily, name: string): this {
    return this.#message(MSG.delTable, family, 0, () => this.#writer.attributeText(1, name))
  }

  /** A base chain with policy accept. */
  chain(
    family: NftFamily,
    table: string,
    chain: {
      readonly name: string
      readonly type: 'filter' | 'nat'
      readonly hook: Hook
      readonly priority: number
    },
  ): this {
    const w = this.#writer
    return this.#message(MSG.newChain, family, NLM_F_CREATE, () => {
      w.attributeText(1, table).attributeText(3, chain.name).attributeText(7, chain.type)
      w.nest(4, () => w.attributeU32be(1, HOOKS[chain.hook]).attributeU32be(2, chain.priority))
    })
  }

  set(family: NftFamily, table: string, set: SetDefinition): this {
    const w = this.#writer
    this.#setId += 1
    return this.#message(MSG.newSet, family, NLM_F_CREATE, () => {
      w.attributeText(1, table).attributeText(2, set.name)
      w.attributeU32be(3, setFlags(set))
      w.attributeU32be(4, set.keyType).attributeU32be(5, set.keyLength)
      if (set.data !== undefined) w.attributeU32be(6, set.data.type).attributeU32be(7, set.data.length)
      const { fields } = set
      if (fields !== undefined) w.nest(9, () => w.nest(2, () => writeFields(w, fields)))
      w.attributeU32be(10, this.#setId)
      if (set.hostOrder === true) w.attribute(13, HOST_ORDER)
    })
  }

  rule(family: NftFamily, table: string, chain: string, expressions: readonly Expression[]): this {
    const w = this.#writer
    return this.#message(MSG.newRule, family, NLM_F_CREATE | NLM_F_APPEND, () => {
      w.attributeText(1, table).attributeText(2, chain)
      w.nest(4, () => {
        for (const expression of expressions) {
          w.nest(1, () => {
            w.attributeText(1, expression.name)
            w.nest(2, () => expression.write(w))
          })
        }
      })
    })
  }

  /**
   * Adds elements. One that is there with the same data is fine; a map's key that leads elsewhere answers EEXIST
   * (EBUSY on older kernels).
   * An empty list adds nothing.
   */
  addElements(family: NftFamily, table: string, set: string, elements: readonly Element[]): this {
    return this.#elements(MSG.newElement, NLM_F_CREATE, family, table, set, elements)
  }

  /** Answers ENOENT when one is missing, and then deletes none. */
  deleteElements(family: NftFamily, table: string, set: string, elements: readonly Element[]): this {
    return this.#elements(MSG.delElement, 0, family, table, set, elements)
  }

  /** Ends the batch and gives the step that sends it. */
  step(actor: Actor, why: string, options: NetlinkStepOptions = {}): Step {
    this.#edge(BATCH_END)
    return netlinkStep(actor, NETLINK_NETFILTER, why, this.#writer, options)
  }

  #elements(
    type: number,
    flags: number,
    family: NftFamily,
    table: string,
    set: string,
    elements: readonly Element[],
  ): this {
    const w = this.#writer
    for (let start = 0; start < elements.length; start += ELEMENTS_PER_MESSAGE) {
      this.#message(type, family, flags, () => {
        w.attributeText(1, table).attributeText(2, set)
        w.nest(3, () => {
          for (const element of elements.slice(start, start + ELEMENTS_PER_MESSAGE)) writeElement(w, element)
        })
      })
    }
    return this
  }

  #message(type: number, family: NftFamily, flags: number, body: () => void): this {
    this.#writer.message((SUBSYS << 8) | type, flags | NLM_F_ACK, () => {
      writeHeader(this.#writer, FAMILY[family], 0)
      body()
    })
    return this
  }

  /** Begin and end ask for no acknowledgement: kernels before 6.10 never gave one for them. */
  #edge(type: number): void {
    this.#writer.message(type, 0, () => writeHeader(this.#writer, 0, SUBSYS))
  }
}

export function writeHeader(w: NetlinkWriter, family: number, resource: number): void {
  w.u8(family).u8(0).u16be(resource)
}

function setFlags(set: SetDefinition): number {
  const ranges = set.fields === undefined ? 0 : SET_FLAG_INTERVAL | SET_FLAG_CONCAT
  return ranges | (set.data === undefined ? 0 : SET_FLAG_MAP)
}

function writeFields(w: NetlinkWriter, fields: readonly number[]): void {
  for (const length of fields) w.nest(1, () => w.attributeU32be(1, length))
}

function writeElement(w: NetlinkWriter, element: Element): void {
  w.nest(1, () => {
    w.nest(1, () => w.attribute(1, element.key))
    const { data } = element
    if (data !== undefined) w.nest(2, () => w.attribute(1, data))
    const { keyEnd } = element
    if (keyEnd !== undefined) w.nest(10, () => w.attribute(1, keyEnd))
  })
}
