import { test } from 'node:test'
import assert from 'node:assert/strict'
import { completeHostConfig, mergeConfig } from './config.ts'
import { Container } from './container.ts'
import { RecordFile } from './record-file.ts'
import { checkFilters, matchesFilters } from './container-filters.ts'
import type { ContainerRecord } from './record.ts'

const image = {
  user: '',
  exposedPorts: { '80/tcp': {} },
  env: [],
  entrypoint: null,
  cmd: ['x'],
  volumes: {},
  workingDir: '',
  labels: { tier: 'web' },
}

function make(change: Partial<ContainerRecord> = {}): Container {
  const id = 'ab'.repeat(32)
  const hostConfig = completeHostConfig(
    {},
    { runtime: 'namespaces', logConfig: { type: 'json-file', config: {} } },
  )
  const config = mergeConfig({ config: { image: 'nginx' }, hostConfig: {}, endpoints: {} }, image, id)
  const record: ContainerRecord = {
    version: 1,
    id,
    name: 'web-1',
    created: 100,
    imageId: 'sha256:1',
    lower: [],
    platform: 'linux',
    level: 'namespaces',
    path: 'x',
    args: [],
    config,
    hostConfig,
    endpoints: {},
    range: null,
    mounts: [],
    state: { status: 'exited', exitCode: 3, error: '', startedAt: 1, finishedAt: 2, oomKilled: false },
    restartCount: 0,
    manuallyStopped: false,
    lastDelay: 0,
    network: { attachments: [], published: [] },
    networks: {},
    ports: { '80/tcp': [{ hostIp: '', hostPort: '8080' }] },
    ...change,
  }
  return new Container(record, '/nowhere', new RecordFile('/nowhere'))
}

const context = {
  ancestors: (ref: string) => (ref === 'base' ? ['sha256:1'] : []),
  find: () => make({ created: 50 }),
}
const matches = (filters: Record<string, string[]>) =>
  matchesFilters(make(), new Map(Object.entries(filters)), context)

test('matchesFilters knows Docker’s keys', () => {
  const yes: Record<string, string[]>[] = [
    {},
    { id: ['abab'] },
    { name: ['web'] },
    { name: ['^/web-1$'] },
    { label: ['tier', 'tier=web'] },
    { status: ['running', 'exited'] },
    { exited: ['3'] },
    { ancestor: ['base'] },
    { since: ['other'] },
    { expose: ['70-90/tcp'] },
    { publish: ['8080'] },
    { publish: ['8000-9000/tcp'] },
    { health: ['none'] },
    { isolation: ['namespaces'] },
  ]
  for (const filters of yes) assert.equal(matches(filters), true, JSON.stringify(filters))
  const no: Record<string, string[]>[] = [
    { name: ['db'] },
    { label: ['tier', 'tier=db'] },
    { 'label!': ['tier'] },
    { status: ['running'] },
    { exited: ['0'] },
    { ancestor: ['other'] },
    // What it was made by means another image now.
    { ancestor: ['nginx'] },
    { before: ['other'] },
    { expose: ['80/udp'] },
    { publish: ['80'] },
    { network: ['none'] },
    { volume: ['v'] },
  ]
  for (const filters of no) assert.equal(matches(filters), false, JSON.stringify(filters))
})

test('matchesFilters refuses unknown keys and values', () => {
  assert.throws(() => matches({ colour: ['red'] }), /invalid filter 'colour'/)
  assert.throws(() => matches({ status: ['tired'] }), /invalid filter 'status=tired'/)
  assert.throws(() => matches({ exited: ['x'] }), /invalid filter/)
})

test('checkFilters refuses them when there is no container, too', () => {
  assert.throws(() => checkFilters(new Map([['status', ['tired']]])), /invalid filter 'status=tired'/)
  checkFilters(new Map([['status', ['running']]]))
})

test('matchesFilters does not hang on a hostile name pattern', () => {
  const began = performance.now()
  assert.equal(matches({ name: [`(${'a+'.repeat(20)})+$`] }), false)
  // With backtracking it would be minutes.
  assert.ok(performance.now() - began < 5000)
})
