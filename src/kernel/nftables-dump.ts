/** What nf_tables holds: asking for tables, chains and elements, and reading the answers. */
import {
  ERRNO,
  NETLINK_NETFILTER,
  NLM_F_ACK,
  NLM_F_DUMP,
  NetlinkWriter,
  attributeMap,
  attributeString,
  netlinkStep,
  readAttributes,
  readMessages,
} from './netlink.ts'
import { FAMILY, MSG, SUBSYS, writeHeader } from './nftables.ts'
import type { Element, NftFamily } from './nftables.ts'
import type { Actor, Step } from './plan.ts'

function dumpStep(
  type: number,
  family: NftFamily,
  why: string,
  actor: Actor,
  body?: (w: NetlinkWriter) => void,
): Step {
  const w = new NetlinkWriter()
  w.message((SUBSYS << 8) | type, NLM_F_DUMP | NLM_F_ACK, () => {
    writeHeader(w, FAMILY[family], 0)
    body?.(w)
  })
  // ENOENT: there is no such table, so there is nothing in it.
  return netlinkStep(actor, NETLINK_NETFILTER, why, w, { emit: true, ignore: [ERRNO.ENOENT] })
}

export const dumpTables = (actor: Actor, family: NftFamily): Step =>
  dumpStep(MSG.getTable, family, `list the ${family} tables`, actor)

export const dumpBaseChains = (actor: Actor, family: NftFamily): Step =>
  dumpStep(MSG.getChain, family, `list the ${family} chains`, actor)

export const dumpElements = (actor: Actor, family: NftFamily, table: string, set: string): Step =>
  dumpStep(MSG.getElement, family, `list ${family} ${table} ${set}`, actor, (w) =>
    w.attributeText(1, table).attributeText(2, set),
  )

export function parseTables(frames: readonly Buffer[]): string[] {
  return attributesOf(frames, MSG.newTable).map((attributes) => attributeString(attributes.get(1)))
}

export interface BaseChain {
  readonly table: string
  readonly name: string
  readonly hook: number
  readonly policy: 'accept' | 'drop'
}

/** Only chains that hang on a hook. */
export function parseBaseChains(frames: readonly Buffer[]): BaseChain[] {
  return attributesOf(frames, MSG.newChain).flatMap((attributes) => {
    const hook = attributes.get(4)
    const number = hook === undefined ? undefined : attributeMap(hook).get(1)
    if (number === undefined || number.length < 4) return []
    const policy = attributes.get(5)
    return [
      {
        table: attributeString(attributes.get(1)),
        name: attributeString(attributes.get(3)),
        hook: number.readUInt32BE(0),
        policy:
          policy !== undefined && policy.length >= 4 && policy.readUInt32BE(0) === 0 ? 'drop' : 'accept',
      },
    ]
  })
}

export function parseElements(frames: readonly Buffer[]): Element[] {
  return attributesOf(frames, MSG.newElement).flatMap((attributes) => {
    const list = attributes.get(3)
    return list === undefined ? [] : [...readAttributes(list)].flatMap(([, element]) => parseElement(element))
  })
}

function parseElement(element: Buffer): Element[] {
  const attributes = attributeMap(element)
  const key = valueOf(attributes.get(1))
  const data = valueOf(attributes.get(2))
  if (key === undefined) return []
  return [data === undefined ? { key } : { key, data }]
}

function valueOf(nest: Buffer | undefined): Buffer | undefined {
  return nest === undefined ? undefined : attributeMap(nest).get(1)
}

function attributesOf(frames: readonly Buffer[], type: number): ReadonlyMap<number, Buffer>[] {
  return frames
    .flatMap((frame) => [...readMessages(frame)])
    .filter((message) => message.type === ((SUBSYS << 8) | type))
    .map((message) => attributeMap(message.body, 4))
}
