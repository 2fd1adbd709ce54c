import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { frame } from '../engine/log-entry.ts'
import { Unframe } from './unframe.ts'

test('Unframe gives what the frames hold, however they are cut', async () => {
  const texts = fc.array(fc.tuple(fc.constantFrom<1 | 2>(1, 2), fc.uint8Array({ maxLength: 40 })), {
    maxLength: 8,
  })
  await fc.assert(
    fc.asyncProperty(texts, fc.integer({ min: 1, max: 11 }), async (parts, size) => {
      const wire = Buffer.concat(parts.map(([stream, data]) => frame(stream, Buffer.from(data))))
      const unframe = new Unframe()
      for (let at = 0; at < wire.length; at += size) unframe.write(wire.subarray(at, at + size))
      unframe.end()
      const out: Buffer[] = []
      for await (const chunk of unframe) if (Buffer.isBuffer(chunk)) out.push(chunk)
      assert.deepEqual(Buffer.concat(out), Buffer.concat(parts.map(([, data]) => data)))
    }),
  )
})
