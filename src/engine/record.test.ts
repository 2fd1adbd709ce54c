import { test } from 'node:test'
import assert from 'node:assert/strict'
import { parseRecord } from './record.ts'

const good = {
  version: 1,
  id: 'ab'.repeat(32),
  name: 'web',
  created: 1,
  imageId: 'sha256:1',
  lower: ['/l'],
  platform: 'linux',
  level: 'namespaces',
  path: 'sh',
  args: [],
  config: {},
  hostConfig: {},
  endpoints: {},
  range: { base: 1_000_000, size: 65_536 },
  mounts: [],
  state: { status: 'running', startedAt: 1, paused: false },
  restartCount: 0,
  manuallyStopped: false,
  lastDelay: 0,
  network: { attachments: [], published: [] },
  networks: {},
  ports: {},
}

test('parseRecord takes what was written', () => {
  assert.equal(parseRecord(JSON.parse(JSON.stringify(good))).name, 'web')
})

test('parseRecord refuses ids, names, layers, ranges and states that cannot be', () => {
  const bad: object[] = [
    { version: 2 },
    { id: '../../etc' },
    { name: '../x' },
    { lower: ['relative'] },
    { range: { base: 0, size: 65_536 } },
    { state: { status: 'tired' } },
    { state: { status: 'exited', exitCode: 'no' } },
    { mounts: {} },
  ]
  for (const change of bad) assert.throws(() => parseRecord({ ...good, ...change }), JSON.stringify(change))
  for (const value of [null, [], 'x', 7]) assert.throws(() => parseRecord(value))
})
