import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { decodeLogLine, frame, LineScan, timeOf } from './log-entry.ts'

const line = (log: string, stream = 'stdout', time = '2026-01-02T03:04:05.123456789Z') =>
  Buffer.from(JSON.stringify({ log, stream, time }))

test('decodeLogLine reads any text the shim can write', () => {
  const odd = fc.string({
    unit: fc.constantFrom('a', '\n', '"', '\\', '\\n', '\u0000', 'é', '","stream":"stderr","time":"'),
  })
  fc.assert(
    fc.property(odd, fc.constantFrom('stdout', 'stderr'), (log, stream) => {
      const entry = decodeLogLine(line(log, stream))
      assert.equal(entry?.data.toString(), log)
      assert.equal(entry?.stream, stream === 'stdout' ? 1 : 2)
      assert.equal(entry?.time, '2026-01-02T03:04:05.123456789Z')
    }),
  )
})

test('decodeLogLine reads lines with attributes, whatever is in these', () => {
  const attrs = { '","time":"': '2026-01-02T03:04:05Z', b: '\\"}' }
  const plain = Buffer.from(
    `{"log":"hello\\n","stream":"stderr","attrs":${JSON.stringify(attrs)},"time":"2026-01-02T03:04:06Z"}`,
  )
  assert.equal(new LineScan().scan(plain, 0, plain.length), true, 'by no parser')
  for (const log of ['hello\n', 'a "b"\n', '', '","stream":"stdout","attrs":{'])
    assert.deepEqual(
      decodeLogLine(
        Buffer.from(JSON.stringify({ log, stream: 'stderr', attrs, time: '2026-01-02T03:04:06Z' })),
      ),
      { stream: 2, data: Buffer.from(log), time: '2026-01-02T03:04:06Z' },
    )
})

test('decodeLogLine answers undefined for torn and foreign lines, never an exception', () => {
  const whole = line('hello\n')
  for (let cut = 0; cut < whole.length; cut += 1)
    assert.equal(decodeLogLine(whole.subarray(0, cut)), undefined)
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeLogLine(Buffer.from(bytes))))
})

test('timeOf keeps the fraction', () => {
  assert.equal(timeOf('1970-01-01T00:00:01.5Z'), 1500)
  assert.equal(timeOf('1970-01-01T01:00:00+01:00'), 0)
  assert.ok(Number.isNaN(timeOf('yesterday')))
})

test('frame writes Docker’s header', () => {
  assert.deepEqual(frame(2, Buffer.from('hi')), Buffer.from([2, 0, 0, 0, 0, 0, 0, 2, 104, 105]))
})
