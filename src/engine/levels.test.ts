import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DewarError } from '../base/errors.ts'
import { Levels } from './levels.ts'

/** No level at all is there: whatever is chosen is refused. */
const none = new Levels([], 'namespaces')

test('Levels refuses a level that is not there with the reason and the remedy, however it is asked for', async () => {
  for (const host of [
    { isolation: 'sealed', runtime: '' },
    { isolation: '', runtime: 'gvisor' },
    { isolation: 'default', runtime: 'microvm' },
    { isolation: '', runtime: 'runc' },
  ])
    await assert.rejects(
      none.choose(host),
      (error) =>
        error instanceof DewarError &&
        error.status === 400 &&
        /isolation level \w+ is not available: .*\(use --isolation=namespaces\)/.test(error.message),
    )
})

test('Levels refuses names that are none, and takes none for the usual', async () => {
  await assert.rejects(none.choose({ isolation: 'hyperv', runtime: '' }), /invalid isolation: hyperv/)
  await assert.rejects(none.choose({ isolation: '', runtime: 'x' }), /unknown or invalid runtime name: x/)
})

test('Levels of info are all there are, each with the reason why it cannot be had', async () => {
  const told = await none.info()
  assert.deepEqual(
    told.map(({ name }) => name),
    ['namespaces', 'sealed', 'gvisor', 'microvm'],
  )
  for (const { available, reason = '' } of told) assert.ok(!available && /does not have it yet/.test(reason))
})
