/**
 * DNS messages (RFC 1035, EDNS RFC 6891) as far as a name server for containers needs them: one question in, a few
 * records out; everything else travels as bytes. Input is hostile: nothing here throws, loops or follows a pointer.
 */
export const TYPE = { A: 1, PTR: 12, MX: 15, AAAA: 28, OPT: 41, ANY: 255 } as const
export const RCODE = {
  ok: 0,
  badFormat: 1,
  serverFailure: 2,
  noName: 3,
  notImplemented: 4,
  refused: 5,
} as const
const CLASS_IN = 1
const HEADER = 12
const FLAG = {
  response: 0x8000,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
} as const
/** What fits into a datagram when the client does not say (RFC 1035, 4.2.1), and the most we give however much it says. */
const PLAIN_SIZE = 512
const LARGEST_SIZE = 4096

export interface Query {
  readonly id: number
  readonly flags: number
  /** Lower case, without the dot at the end. A dot inside of a label is written as `\.`, so it never looks like two. */
  readonly name: string
  readonly type: number
  readonly isInternet: boolean
  /** The question section as it came, in its own case. */
  readonly question: Buffer
  /** Largest datagram the client takes. */
  readonly udpSize: number
  /** The client speaks EDNS and gets an OPT record back. */
  readonly edns: boolean
  /** The whole message, to be passed on. */
  readonly packet: Buffer
}

/** Nothing to answer to (too short, or an answer itself), a refusal to send back, or the question. */
export type Parsed =
  | { readonly kind: 'ignore' }
  | { readonly kind: 'refuse'; readonly reply: Buffer }
  | { readonly kind: 'query'; readonly query: Query }

export function parseQuery(packet: Buffer): Parsed {
  if (packet.length < HEADER) return { kind: 'ignore' }
  const flags = packet.readUInt16BE(2)
  // Answering answers would let two servers talk to each other for ever.
  if ((flags & FLAG.response) !== 0) return { kind: 'ignore' }
  if (((flags >> 11) & 15) !== 0) return refuse(packet, RCODE.notImplemented)
  const counts = [4, 6, 8, 10].map((at) => packet.readUInt16BE(at))
  const [questions, answers, authorities, additional = 0] = counts
  if (questions !== 1 || answers !== 0 || authorities !== 0) return refuse(packet, RCODE.badFormat)
  const question = readQuestion(packet)
  if (question === undefined) return refuse(packet, RCODE.badFormat)
  const edns = readEdns(packet, question.end, additional)
  if (edns === undefined) return refuse(packet, RCODE.badFormat)
  return {
    kind: 'query',
    query: {
      id: packet.readUInt16BE(0),
      flags,
      name: question.name,
      type: packet.readUInt16BE(question.end - 4),
      isInternet: packet.readUInt16BE(question.end - 2) === CLASS_IN,
      question: packet.subarray(HEADER, question.end),
      udpSize: Math.min(LARGEST_SIZE, Math.max(PLAIN_SIZE, edns.size)),
      edns: edns.there,
      packet,
    },
  }
}

function refuse(packet: Buffer, rcode: number): Parsed {
  const reply = Buffer.alloc(HEADER)
  packet.copy(reply, 0, 0, 2)
  // Opcode and "recursion desired" come back as they were.
  reply.writeUInt16BE(FLAG.response | (packet.readUInt16BE(2) & 0x7900) | rcode, 2)
  return { kind: 'refuse', reply }
}

/** Labels without pointers: a question stands first, there is nothing it could point to. */
function readQuestion(packet: Buffer): { name: string; end: number } | undefined {
  const labels: string[] = []
  let at = HEADER
  for (;;) {
    const length = packet[at]
    if (length === undefined || length > 63) return undefined
    at += 1
    if (length === 0) break
    if (at + length > packet.length || at + length - HEADER > 254) return undefined
    labels.push(labelOf(packet.subarray(at, at + length)))
    at += length
  }
  return at + 4 > packet.length ? undefined : { name: labels.join('.'), end: at + 4 }
}

const labelOf = (bytes: Buffer): string => bytes.toString('latin1').replaceAll('.', '\\.').toLowerCase()

/** The client's OPT record, which has the root's name; other additional records (a signature) are passed over. */
function readEdns(
  packet: Buffer,
  start: number,
  count: number,
): { there: boolean; size: number } | undefined {
  let at = start
  let found = { there: false, size: 0 }
  for (let n = 0; n < count; n += 1) {
    const isRoot = packet[at] === 0
    const after = skipName(packet, at)
    if (after === undefined || after + 10 > packet.length) return undefined
    const type = packet.readUInt16BE(after)
    if (type === TYPE.OPT) {
      // Only one is allowed (RFC 6891, 6.1.1).
      if (!isRoot || found.there) return undefined
      found = { there: true, size: packet.readUInt16BE(after + 2) }
    }
    at = after + 10 + packet.readUInt16BE(after + 8)
    if (at > packet.length) return undefined
  }
  return found
}

/** Behind a name; a pointer ends it and is not followed. */
function skipName(packet: Buffer, start: number): number | undefined {
  for (let at = start; at - start < 256;) {
    const length = packet[at]
    if (length === undefined) return undefined
    if (length === 0) return at + 1
    if (length >= 0xc0) return at + 2
    if (length > 63) return undefined
    at += 1 + length
  }
  return undefined
}

export interface DnsRecord {
  readonly type: number
  readonly data: Uint8Array
}

export interface Answer {
  readonly rcode: number
  readonly records: readonly DnsRecord[]
  /** Seconds. */
  readonly ttl: number
  /** There is more than can be said: the client is told to ask again by TCP. */
  readonly isCut?: true
}

/** The bytes of an answer of at most `limit` bytes; records that do not fit are left out and the client told so. */
export function encodeAnswer(query: Query, answer: Answer, limit: number): Buffer {
  const edns = query.edns
    ? Buffer.from([0, 0, TYPE.OPT, LARGEST_SIZE >> 8, LARGEST_SIZE & 255, 0, 0, 0, 0, 0, 0])
    : NONE
  let room = limit - HEADER - query.question.length - edns.length
  const records: Buffer[] = []
  for (const { type, data } of answer.records) {
    room -= 12 + data.length
    if (room < 0) break
    records.push(encodeRecord(type, answer.ttl, data))
  }
  const isCut = answer.isCut === true || records.length < answer.records.length
  const header = Buffer.alloc(HEADER)
  const asked = query.flags & FLAG.recursionDesired
  const cut = isCut ? FLAG.truncated : 0
  header.writeUInt16BE(query.id, 0)
  header.writeUInt16BE(FLAG.response | FLAG.recursionAvailable | asked | cut | answer.rcode, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(records.length, 6)
  header.writeUInt16BE(query.edns ? 1 : 0, 10)
  return Buffer.concat([header, query.question, ...records, edns])
}
const NONE = Buffer.alloc(0)

function encodeRecord(type: number, ttl: number, data: Uint8Array): Buffer {
  const head = Buffer.alloc(12)
  // The name is the question's, at offset 12.
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(CLASS_IN, 4)
  head.writeUInt32BE(ttl, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

/** The wire form of a name; undefined when it is too long for one. */
export function encodeName(name: string): Buffer | undefined {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'))
  if (labels.some(({ length }) => length === 0 || length > 63)) return undefined
  const bytes = Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), label]),
    Buffer.alloc(1),
  ])
  return bytes.length > 255 ? undefined : bytes
}

/** What a server outside said: whether it answers this question, which was sent under the number `id`. */
export function isReplyTo(reply: Buffer, query: Query, id: number): boolean {
  if (reply.length < HEADER || reply.readUInt16BE(0) !== id) return false
  if ((reply.readUInt16BE(2) & FLAG.response) === 0) return false
  // Some servers leave the question out when they refuse.
  if (reply.readUInt16BE(4) === 0) return rcodeOf(reply) !== RCODE.ok
  const { question } = query
  const theirs = reply.subarray(HEADER, HEADER + question.length)
  return theirs.toString('latin1').toLowerCase() === question.toString('latin1').toLowerCase()
}

export const rcodeOf = (reply: Buffer): number => reply.readUInt16BE(2) & 15

/** The address a reverse name (…in-addr.arpa, …ip6.arpa) stands for, in the text form of `formatAddress`' input. */
export function reverseAddress(name: string): Uint8Array | undefined {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name)
  if (v4 !== null) {
    const numbers = v4.slice(1).reverse().map(Number)
    return numbers.every((n) => n < 256) ? Uint8Array.from(numbers) : undefined
  }
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)
  if (v6 === null) return undefined
  const digits = (v6[1] ?? '').split('.').reverse().join('')
  return Uint8Array.from(Buffer.from(digits, 'hex'))
}
