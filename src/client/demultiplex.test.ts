import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import fc from 'fast-check'
import { demultiplex, FrameSplitter } from './demultiplex.ts'
import { ClientError } from './error.ts'

const frame = (stream: number, payload: string): Buffer => {
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(Buffer.byteLength(payload), 4)
  return Buffer.concat([header, Buffer.from(payload)])
}

test('FrameSplitter gives the same payload however the bytes are cut', () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.string()), { maxLength: 8 })
  fc.assert(
    fc.property(frames, fc.array(fc.nat(40)), (parts, cuts) => {
      const all = Buffer.concat(parts.map(([stream, payload]) => frame(stream, payload)))
      const splitter = new FrameSplitter()
      const seen = { 1: '', 2: '' }
      const take = (bytes: Buffer): void => {
        for (const part of splitter.push(bytes)) seen[part.stream] += part.bytes.toString('latin1')
      }
      let at = 0
      for (const cut of cuts) {
        take(all.subarray(at, at + cut))
        at += cut
      }
      take(all.subarray(at))
      for (const wanted of [1, 2] as const) {
        const payload = parts
          .filter(([stream]) => stream === wanted)
          .map(([, text]) => text)
          .join('')
        assert.equal(Buffer.from(seen[wanted], 'latin1').toString(), Buffer.from(payload).toString())
      }
    }),
  )
})

test('FrameSplitter refuses a stream number that is none', () => {
  assert.throws(() => new FrameSplitter().push(frame(9, 'x')), ClientError)
})

test('FrameSplitter does not wait for or hold a frame that claims four gigabytes', () => {
  const header = Buffer.from([1, 0, 0, 0, 255, 255, 255, 255])
  const parts = new FrameSplitter().push(Buffer.concat([header, Buffer.from('here')]))
  assert.deepEqual(
    parts.map(({ bytes }) => bytes.toString()),
    ['here'],
  )
})

test('demultiplex throws what the engine says on its own stream', async () => {
  const source = Readable.from([frame(1, 'out'), frame(3, 'log is gone')], { objectMode: false })
  const stdout = new PassThrough()
  await assert.rejects(demultiplex(source, stdout, null), /log is gone/)
  stdout.end()
  assert.equal(await text(stdout), 'out')
})
