import { test } from 'node:test'
import assert from 'node:assert/strict'
import { parseImageConfig } from './image-config.ts'

const withHealth = (health: string): Buffer =>
  Buffer.from(`{"config":{"Healthcheck":${health}},"rootfs":{"type":"layers","diff_ids":[]}}`)

test('parseImageConfig takes numbers that Go takes, and refuses those on which its clients give up', () => {
  const { config } = parseImageConfig(withHealth('{"Interval":-9000000000000000000,"Retries":null}'), 'x')
  assert.deepEqual(config?.Healthcheck?.Interval, -9e18)
  for (const health of ['{"Interval":0.5}', '{"Timeout":1e300}', '{"StartPeriod":1e19}', '{"Retries":1.5}'])
    assert.throws(() => parseImageConfig(withHealth(health), 'x'), {
      code: 'invalid-argument',
      message: /^Reading x failed: config\.Healthcheck\./,
    })
})
