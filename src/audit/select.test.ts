import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROBES } from './probes/index.ts'
import { selectProbes } from './select.ts'

const none = { direction: [], probe: [], asset: [], observer: [] }
const ids = (by: Partial<typeof none> | Record<string, readonly string[]>) =>
  selectProbes(PROBES, { ...none, ...by }).map(({ id }) => id)

test('selectProbes takes words one by one or with commas between them', () => {
  assert.deepEqual(ids({ probe: ['O01,i05'] }), ids({ probe: ['O01', 'I05'] }))
  assert.deepEqual(ids({ direction: ['in,out'] }), ids({ direction: ['in', 'out'] }))
  assert.ok(ids({ direction: ['in'], asset: ['limits'] }).every((id) => id.startsWith('I')))
})

test('selectProbes names the word that fits nothing, and refuses an empty choice', () => {
  assert.throws(() => ids({ probe: ['O01,nosuch'] }), /--probe nosuch fits none \(there are: O01, /)
  assert.throws(() => ids({ observer: ['root'] }), /--observer root fits none .*host-root/)
  assert.throws(() => ids({ direction: ['sideways'] }), /there are: .*across/)
  assert.throws(() => ids({ direction: ['out'], probe: ['I05'] }), /no probe fits all options/)
})
