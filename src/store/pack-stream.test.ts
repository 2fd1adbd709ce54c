import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { packStream } from './pack-stream.ts'

test('packStream keeps a failure that comes before its reader, and tells it then', async () => {
  const stream = packStream()
  stream.destroy(new Error('packing failed'))
  // Without a listener of its own the process would end here.
  await sleep(1)
  await assert.rejects(stream.toArray(), /packing failed/)
})
