import assert from 'node:assert/strict'
import { test } from 'node:test'
import { natural } from './port.ts'

test('natural sorts ports by number and IPv4 before IPv6', () => {
  const lines = ['80/tcp -> [::]:1', '443/tcp -> 0.0.0.0:9', '80/tcp -> 0.0.0.0:1', '80/tcp -> 0.0.0.0:10']
  assert.deepEqual(lines.sort(natural), [
    '80/tcp -> 0.0.0.0:1',
    '80/tcp -> 0.0.0.0:10',
    '80/tcp -> [::]:1',
    '443/tcp -> 0.0.0.0:9',
  ])
})
