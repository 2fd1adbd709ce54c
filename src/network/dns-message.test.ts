import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  TYPE,
  encodeAnswer,
  encodeName,
  isReplyTo,
  parseQuery,
  reverseAddress,
  type Query,
} from './dns-message.ts'

interface Asked {
  readonly type?: number
  readonly flags?: number
  readonly extra?: Buffer
  readonly additional?: number
}

/** A question as a client sends it. */
export function packetOf(
  name: string,
  { type = TYPE.A, flags = 0x0100, extra, additional = 0 }: Asked = {},
): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0x1234, 0)
  head.writeUInt16BE(flags, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(additional, 10)
  const wire = encodeName(name)
  assert.ok(wire)
  return Buffer.concat([head, wire, Buffer.from([0, type, 0, 1]), extra ?? Buffer.alloc(0)])
}

function queryOf(packet: Buffer): Query {
  const parsed = parseQuery(packet)
  assert.equal(parsed.kind, 'query')
  return parsed.kind === 'query' ? parsed.query : assert.fail()
}

const edns = (size: number): Asked => ({
  additional: 1,
  extra: Buffer.from([0, 0, TYPE.OPT, size >> 8, size & 255, 0, 0, 0, 0, 0, 0]),
})

test('parseQuery reads a name in lower case, its type and how much the client takes', () => {
  const query = queryOf(packetOf('Web.Net', { type: TYPE.AAAA, ...edns(1232) }))
  assert.equal(query.name, 'web.net')
  assert.equal(query.type, TYPE.AAAA)
  assert.equal(query.udpSize, 1232)
  assert.equal(query.edns, true)
  assert.equal(queryOf(packetOf('a')).udpSize, 512)
  // Less than 512 means 512 (RFC 6891, 6.2.3); more than ours is cut.
  assert.equal(queryOf(packetOf('a', edns(12))).udpSize, 512)
  assert.equal(queryOf(packetOf('a', edns(65_535))).udpSize, 4096)
})

test('parseQuery never answers an answer, so that two servers cannot talk for ever', () => {
  assert.equal(parseQuery(packetOf('a', { flags: 0x8180 })).kind, 'ignore')
})

test('parseQuery refuses what is no single question', () => {
  const rcode = (packet: Buffer): number => {
    const parsed = parseQuery(packet)
    return parsed.kind === 'refuse' ? parsed.reply.readUInt16BE(2) & 15 : -1
  }
  const two = packetOf('a')
  two.writeUInt16BE(2, 4)
  assert.equal(rcode(two), 1)
  assert.equal(rcode(packetOf('a').subarray(0, 14)), 1)
  assert.equal(rcode(packetOf('a', { flags: 0x2800 })), 4)
  const pointer = packetOf('a')
  pointer[12] = 0xc0
  assert.equal(rcode(pointer), 1)
  assert.equal(rcode(packetOf('a', { additional: 40_000 })), 1)
})

test('parseQuery keeps a dot inside of a label apart from one between labels', () => {
  const packet = packetOf('axb')
  packet[14] = 0x2e
  assert.equal(queryOf(packet).name, 'a\\.b')
})

test('parseQuery neither throws nor gives nonsense, whatever comes', () => {
  const valid = [...packetOf('one.two', edns(4096))]
  const damaged = fc
    .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 6 })
    .map((changes) => {
      const bytes = Buffer.from(valid)
      for (const [at, byte] of changes) bytes[at] = byte
      return bytes
    })
  const any = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(fc.oneof(damaged, any), (packet) => {
      const parsed = parseQuery(packet)
      if (parsed.kind === 'refuse') assert.ok(parsed.reply.length === 12)
      if (parsed.kind !== 'query') return
      assert.ok(parsed.query.name.length < 1024)
      assert.ok(parsed.query.udpSize >= 512 && parsed.query.udpSize <= 4096)
      const reply = encodeAnswer(parsed.query, { rcode: 0, records: [], ttl: 1 }, parsed.query.udpSize)
      assert.ok(reply.length <= 512)
      assert.ok(isReplyTo(reply, parsed.query, parsed.query.id))
    }),
    { numRuns: 3000 },
  )
})

test('encodeAnswer leaves out what does not fit and says so', () => {
  const records = Array.from({ length: 100 }, (_, n) => ({ type: TYPE.A, data: Uint8Array.of(10, 0, 0, n) }))
  const query = queryOf(packetOf('web'))
  const cut = encodeAnswer(query, { rcode: 0, records, ttl: 600 }, 512)
  assert.ok(cut.length <= 512 && cut.length > 490)
  assert.equal(cut.readUInt16BE(2) & 0x0200, 0x0200)
  assert.equal(cut.readUInt16BE(6), Math.floor((512 - 12 - 9) / 16))
  const whole = encodeAnswer(query, { rcode: 0, records, ttl: 600 }, 65_535)
  assert.equal(whole.readUInt16BE(6), 100)
  assert.equal(whole.readUInt16BE(2) & 0x0200, 0)
})

test('isReplyTo takes the number, the question and the answer bit for it', () => {
  const query = queryOf(packetOf('web.example'))
  const reply = encodeAnswer(query, { rcode: 0, records: [], ttl: 0 }, 512)
  assert.equal(isReplyTo(reply, query, 0x1234), true)
  assert.equal(isReplyTo(reply, query, 0x1235), false)
  assert.equal(isReplyTo(packetOf('web.example'), query, 0x1234), false)
  const other = queryOf(packetOf('bad.example'))
  assert.equal(isReplyTo(encodeAnswer(other, { rcode: 0, records: [], ttl: 0 }, 512), query, 0x1234), false)
  assert.equal(isReplyTo(Buffer.alloc(3), query, 0), false)
})

test('reverseAddress reads both families and nothing else', () => {
  assert.deepEqual(reverseAddress('3.0.18.172.in-addr.arpa'), Uint8Array.of(172, 18, 0, 3))
  assert.equal(reverseAddress('300.0.18.172.in-addr.arpa'), undefined)
  assert.equal(reverseAddress('18.172.in-addr.arpa'), undefined)
  const six = `${Array.from({ length: 32 }, (_, n) => (n === 0 ? '1' : '0')).join('.')}.ip6.arpa`
  assert.deepEqual(reverseAddress(six), Uint8Array.of(...new Array<number>(15).fill(0), 1))
})
