import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  NLM_F_ACK,
  NetlinkWriter,
  attributeMap,
  attributeString,
  netlinkStep,
  readAttributes,
  readMessages,
} from './netlink.ts'

test('NetlinkWriter pads attributes and messages to 4 bytes and writes lengths without the padding', () => {
  const w = new NetlinkWriter()
  w.message(16, NLM_F_ACK, () => w.u32(7).attributeText(3, 'lo').attributeU8(5, 9))
  const data = Buffer.from(w.data)
  assert.equal(
    data.toString('hex'),
    '24000000' +
      '1000' +
      '0500' +
      '01000000' +
      '00000000' +
      '07000000' +
      '07000300' +
      '6c6f0000' +
      '05000500' +
      '09000000',
  )
  assert.equal(data.readUInt32LE(0), data.length)
})

test('NetlinkWriter numbers messages and marks nests', () => {
  const w = new NetlinkWriter()
  w.message(1, 0, () => w.nest(2, () => w.attributeU32(3, 4)))
  w.message(1, 0, () => w.u8(1))
  const [first, second] = [...readMessages(Buffer.from(w.data))]
  assert.equal(first?.sequence, 1)
  assert.equal(second?.sequence, 2)
  assert.equal(first?.body.readUInt16LE(2), 0x8002)
  assert.deepEqual(
    [...attributeMap(attributeMap(first?.body ?? Buffer.alloc(0)).get(2) ?? Buffer.alloc(0)).keys()],
    [3],
  )
})

test('NetlinkWriter.attributePid remembers where the pid goes', () => {
  const w = new NetlinkWriter()
  w.message(1, 0, () => w.attributeText(1, 'x').attributePid(19))
  assert.deepEqual(w.pidAt, [16 + 8 + 4])
  const step = netlinkStep('parent', 0, 'why', w)
  assert.deepEqual('pidAt' in step ? step.pidAt : undefined, [28])
})

test('NetlinkWriter.nest refuses what does not fit into 16 bits of length', () => {
  const w = new NetlinkWriter()
  assert.throws(
    () => w.message(1, 0, () => w.nest(1, () => w.bytes(new Uint8Array(70_000)))),
    /65535 is the limit/,
  )
})

test('readAttributes gives back what NetlinkWriter wrote, whatever it was', () => {
  const attributes = fc.array(
    fc.tuple(fc.integer({ min: 1, max: 0x3fff }), fc.uint8Array({ maxLength: 300 })),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(attributes, (list) => {
      const w = new NetlinkWriter()
      w.message(9, 0, () => list.forEach(([type, value]) => w.attribute(type, value)))
      const [message] = [...readMessages(Buffer.from(w.data))]
      const read = [...readAttributes(message?.body ?? Buffer.alloc(0))].map(([type, value]) => [
        type,
        Uint8Array.from(value),
      ])
      assert.deepEqual(read, list)
    }),
  )
})

test('readMessages and readAttributes end on any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const message of readMessages(Buffer.from(bytes)))
        assert.ok([...readAttributes(message.body)].length < 60)
    }),
  )
})

test('attributeString stops at the NUL and gives nothing for nothing', () => {
  assert.equal(attributeString(Buffer.from('eth0\0\0\0')), 'eth0')
  assert.equal(attributeString(undefined), '')
})
