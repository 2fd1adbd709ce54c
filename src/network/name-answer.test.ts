import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RCODE, TYPE, encodeName, parseQuery, type Query } from './dns-message.ts'
import { decide, shuffled, type ContainerNames } from './name-answer.ts'
import { Zone, type Holder } from './name-table.ts'

function asked(name: string, type: number = TYPE.A): Query {
  const wire = encodeName(name)
  assert.ok(wire)
  const head = Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  const parsed = parseQuery(Buffer.concat([head, wire, Buffer.from([0, type, 0, 1])]))
  return parsed.kind === 'query' ? parsed.query : assert.fail()
}

const holder = (containerId: string, address: string, more: Partial<Holder> = {}): Holder => ({
  containerId,
  name: containerId,
  names: [containerId],
  address,
  ...more,
})

function world(): { names: ContainerNames; front: Zone } {
  const front = new Zone('front')
  front.set(holder('one', '10.0.0.2', { names: ['one', 'Web', 'db.example.org'] }))
  front.set(holder('two', '10.0.0.3', { names: ['two', 'web'], address6: 'fd00::3' }))
  const zones = [{ zone: front, links: new Map([['database', 'one']]) }]
  return { front, names: { zones, forwards: true, completesNames: false, servers: undefined } }
}

function addresses(names: ContainerNames, name: string, type: number = TYPE.A): string[] | string {
  const decision = decide(asked(name, type), names, (list) => list)
  if (decision.kind === 'forward') return 'forward'
  const { rcode, records } = decision.answer
  return rcode === RCODE.ok ? records.map(({ data }) => [...data].join('.')) : `rcode ${rcode}`
}

test('decide finds names, aliases, links and names with their network, in any case', () => {
  const { names } = world()
  assert.deepEqual(addresses(names, 'one'), ['10.0.0.2'])
  assert.deepEqual(addresses(names, 'WEB'), ['10.0.0.2', '10.0.0.3'])
  assert.deepEqual(addresses(names, 'one.front'), ['10.0.0.2'])
  assert.deepEqual(addresses(names, 'database'), ['10.0.0.2'])
  assert.deepEqual(addresses(names, 'db.example.org'), ['10.0.0.2'])
  assert.deepEqual(addresses(names, 'db.example.org.front'), ['10.0.0.2'])
  assert.equal(addresses(names, 'one.back'), 'forward')
})

test('decide gives no data, not "no such name", for a kind of address that a neighbour has not', () => {
  const { names } = world()
  assert.deepEqual(addresses(names, 'one', TYPE.AAAA), [])
  assert.equal(addresses(names, 'two', TYPE.AAAA).length, 1)
  assert.deepEqual(addresses(names, 'one', TYPE.MX), [])
})

test('decide asks nobody outside for a container that may not', () => {
  const names = { ...world().names, forwards: false }
  assert.equal(addresses(names, 'example.org'), `rcode ${RCODE.serverFailure}`)
  assert.equal(addresses(names, '1.1.1.1.in-addr.arpa', TYPE.PTR), `rcode ${RCODE.serverFailure}`)
  assert.deepEqual(addresses(names, 'one'), ['10.0.0.2'])
})

test('decide keeps plain names inside when the container completes them itself', () => {
  const names = { ...world().names, completesNames: true }
  assert.deepEqual(addresses(names, 'nobody'), [])
  assert.equal(addresses(names, 'nobody.example'), 'forward')
})

test('decide gives the name of an address, and asks outside for a stranger', () => {
  const { names } = world()
  const decision = decide(asked('3.0.0.10.in-addr.arpa', TYPE.PTR), names, (list) => list)
  assert.ok(decision.kind === 'answer')
  assert.equal(Buffer.from(decision.answer.records[0]?.data ?? []).toString('latin1'), '\x03two\x05front\x00')
  assert.equal(addresses(names, '9.9.9.9.in-addr.arpa', TYPE.PTR), 'forward')
})

test('Zone forgets who has gone, and who has his address now', () => {
  const { names, front } = world()
  front.delete('one')
  front.set(holder('three', '10.0.0.2', { names: ['three'] }))
  assert.deepEqual(addresses(names, 'web'), ['10.0.0.3'])
  assert.equal(addresses(names, 'one'), 'forward')
  assert.equal(front.nameOf(Uint8Array.of(10, 0, 0, 2)), 'three.front')
  front.delete('two')
  front.delete('three')
  assert.equal(front.isEmpty, true)
})

test('shuffled lets each come first about equally often, and loses none', () => {
  const first = new Map<number, number>()
  for (let n = 0; n < 3000; n += 1) {
    const list = shuffled([1, 2, 3])
    assert.deepEqual(
      list.toSorted((a, b) => a - b),
      [1, 2, 3],
    )
    first.set(list[0] ?? 0, (first.get(list[0] ?? 0) ?? 0) + 1)
  }
  // 1000 each; a fair die leaves ±150 (nearly six standard deviations) once in a billion runs.
  for (const count of first.values()) assert.ok(Math.abs(count - 1000) < 150, String(count))
})
