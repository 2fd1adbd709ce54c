import { test } from 'node:test'
import assert from 'node:assert/strict'
import { resolveOptions, runFolder } from './options.ts'

test('resolveOptions fills in the usual places and tells engines apart by their root', () => {
  const [one, two] = [resolveOptions({}), resolveOptions({ root: '/other' })]
  assert.deepEqual(
    [one.root, one.run, one.bridge, one.defaultLevel],
    ['/var/lib/dewar', '/run/dewar', 'dewar0', 'namespaces'],
  )
  assert.match(one.instance, /^[0-9a-f]{8}$/)
  assert.notEqual(one.instance, two.instance)
})

test('resolveOptions refuses what could not work later', () => {
  assert.throws(() => resolveOptions({ bridge: 'a/b' }), /is no interface name/)
  assert.throws(() => resolveOptions({ bridge: 'x'.repeat(16) }), /is no interface name/)
  assert.throws(() => resolveOptions({ idBase: 2 ** 32 - 10 }), /is not possible/)
  assert.throws(() => resolveOptions({ run: `/${'r'.repeat(90)}` }), /too long for unix sockets/)
})

test('runFolder leaves room for a socket’s name', () => {
  const settings = resolveOptions({ run: `/${'r'.repeat(60)}` })
  assert.ok(`${runFolder(settings, 'a'.repeat(64))}/shim.sock`.length <= 107)
})
