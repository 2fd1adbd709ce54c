import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Answer } from '../../guest-types.ts'
import { placesOf } from './gateway.ts'
import { allTried, triedOf } from './try-ports.ts'

/** Of two places: two sockets with their first connect, the pause, the second connects. */
const answers = (...errors: readonly string[]): readonly Answer[] =>
  errors.map((error) => ({ value: 0n, errno: 0, error, out: [] }))

test('triedOf tells connected, refused and dropped apart', () => {
  const two = answers('', 'EINPROGRESS', '', 'EINPROGRESS', '', '', 'EALREADY')
  assert.equal(triedOf(two, 0, 2), '')
  assert.equal(triedOf(two, 1, 2), 'TIMEOUT')
  const refused = answers('', 'ECONNREFUSED', '', 'EINPROGRESS', '', 'ECONNREFUSED', 'EISCONN')
  assert.equal(triedOf(refused, 0, 2), 'ECONNREFUSED')
  assert.equal(triedOf(refused, 1, 2), '')
})

test('triedOf takes no try that was not made for a refusal', () => {
  const killed = answers('', 'EINPROGRESS', 'TIMEOUT', 'NOT-MADE', 'NOT-MADE', 'NOT-MADE', 'NOT-MADE')
  const tried = [triedOf(killed, 0, 2), triedOf(killed, 1, 2)]
  assert.deepEqual(tried, ['NOT-MADE', 'NOT-MADE'])
  assert.ok(!allTried(tried).held)
  assert.ok(!allTried(['', 'NOT-MADE']).held)
  assert.ok(allTried(['ECONNREFUSED', 'TIMEOUT', '']).held)
})

test('placesOf names every address of the host, the gateway first, link-local ones on each link', () => {
  const addresses = Array.from({ length: 40 }, (_, index) => ({
    address: `10.0.0.${index + 1}`,
    interface: 'eth0',
  }))
  const more = [...addresses, { address: 'fe80::1', interface: 'b' }, { address: 'fd00::1', interface: 'b' }]
  const places = placesOf(more, '172.17.0.1', [2, 3])
  assert.equal(places[0]?.address, '172.17.0.1')
  assert.equal(places.length, 1 + 40 + 2 + 1)
  assert.deepEqual(places.slice(-3), [
    { address: 'fe80::1', link: 2 },
    { address: 'fe80::1', link: 3 },
    { address: 'fd00::1' },
  ])
  assert.deepEqual(
    placesOf([{ address: '10.0.0.1', interface: 'b' }], undefined, []),
    [{ address: '10.0.0.1' }],
    'without a gateway the host stands on the bridge all the same',
  )
})
