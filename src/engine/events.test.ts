import { test } from 'node:test'
import assert from 'node:assert/strict'
import { EventBus } from './events.ts'
import type { EngineEvent, Filters } from './types.ts'

const filters = (entries: Record<string, string[]> = {}): Filters => new Map(Object.entries(entries))

async function all(events: AsyncIterable<EngineEvent>): Promise<string[]> {
  const seen: string[] = []
  for await (const event of events) seen.push(`${event.type} ${event.action}`)
  return seen
}

test('EventBus replays what happened since a time and then ends at until', async () => {
  const bus = new EventBus()
  bus.emit('container', 'create', 'a')
  bus.emit('container', 'start', 'a')
  const past = bus.subscribe({
    since: 0,
    until: Date.now(),
    filters: filters(),
    signal: new AbortController().signal,
  })
  assert.deepEqual(await all(past), ['container create', 'container start'])
  assert.equal(bus.listeners, 0)
})

test('EventBus delivers live events from the moment of subscribing until abort', async () => {
  const bus = new EventBus()
  const abort = new AbortController()
  const live = bus.subscribe({ filters: filters({ type: ['image'] }), signal: abort.signal })
  bus.emit('container', 'start', 'a')
  bus.emit('image', 'pull', 'nginx:latest')
  abort.abort()
  assert.deepEqual(await all(live), ['image pull'])
})

test('EventBus keeps the last 256 with strictly increasing times', async () => {
  const bus = new EventBus()
  for (let n = 0; n < 300; n += 1) bus.emit('volume', `a${n}`, 'v')
  const seen: EngineEvent[] = []
  const past = bus.subscribe({
    since: 0,
    until: Date.now() + 1,
    filters: filters(),
    signal: AbortSignal.abort(),
  })
  for await (const event of past) seen.push(event)
  // An aborted signal ends the queue before anything live; the past was queued first.
  assert.equal(seen.length, 256)
  for (let n = 1; n < seen.length; n += 1)
    assert.ok((seen[n]?.timeNano ?? 0n) > (seen[n - 1]?.timeNano ?? 0n))
})

test('EventBus filters by container name, event word, image and label', async () => {
  const bus = new EventBus()
  bus.emit('container', 'exec_create: /bin/sh', 'abc123', { name: 'web', image: 'nginx:1', tier: 'front' })
  bus.emit('container', 'die', 'def456', { name: 'db', image: 'pg' })
  const find = (entries: Record<string, string[]>) =>
    all(
      bus.subscribe({
        since: 0,
        until: Date.now(),
        filters: filters(entries),
        signal: new AbortController().signal,
      }),
    )
  assert.deepEqual(await find({ container: ['web'] }), ['container exec_create: /bin/sh'])
  assert.deepEqual(await find({ container: ['def'] }), ['container die'])
  assert.deepEqual(await find({ event: ['exec_create'] }), ['container exec_create: /bin/sh'])
  assert.deepEqual(await find({ image: ['nginx'] }), ['container exec_create: /bin/sh'])
  assert.deepEqual(await find({ label: ['tier=front'] }), ['container exec_create: /bin/sh'])
  assert.deepEqual(await find({ label: ['tier=back'] }), [])
  assert.deepEqual(await find({ event: ['die', 'start'], container: ['db', 'web'] }), ['container die'])
})

test('EventBus replays what it remembers for `until` alone, too', async () => {
  const bus = new EventBus()
  bus.emit('container', 'create', 'a')
  const past = bus.subscribe({ until: Date.now(), filters: filters(), signal: new AbortController().signal })
  assert.deepEqual(await all(past), ['container create'])
})
