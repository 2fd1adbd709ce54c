import { test } from 'node:test'
import assert from 'node:assert/strict'
import { Directory } from './directory.ts'
import { IdRanges } from './id-ranges.ts'

const item = (id: string, name: string) => ({ id: id.padEnd(64, '0'), name })

test('Directory finds by id, name with or without slash, and unique prefix', () => {
  const directory = new Directory<{ id: string; name: string }>()
  const web = item('abc1', 'web')
  const db = item('abd2', 'abc')
  directory.add(web)
  directory.add(db)
  assert.equal(directory.find(web.id), web)
  assert.equal(directory.find('/web'), web)
  // A name wins over a prefix.
  assert.equal(directory.find('abc'), db)
  assert.equal(directory.find('abc1'), web)
  assert.throws(() => directory.find('ab'), /Multiple IDs found with provided prefix: ab/)
  assert.throws(() => directory.find('none'), /^DewarError: No such container: none$/)
})

test('Directory keeps a name for one container only', () => {
  const directory = new Directory<{ id: string; name: string }>()
  directory.add(item('a', 'web'))
  assert.throws(
    () => directory.reserveName('web', item('b', '').id),
    /Conflict. The container name "\/web" is already in use/,
  )
  directory.delete(item('a', 'web'))
  directory.reserveName('web', item('b', '').id)
})

test('IdRanges gives every container its own range', () => {
  const ranges = new IdRanges(1_000_000, 65_536)
  const seen = new Set<number>()
  for (let n = 0; n < 500; n += 1) {
    // The same id prefix for all: the worst case.
    const range = ranges.take(`00000000000f${n}`)
    assert.equal((range.base - 1_000_000) % 65_536, 0)
    assert.ok(!seen.has(range.base))
    seen.add(range.base)
  }
})

test('IdRanges keeps clear of recorded ranges and gives back only the owner’s', () => {
  const ranges = new IdRanges(1000, 100)
  const first = ranges.take('000000000000')
  assert.deepEqual(first, { base: 1000, size: 100 })
  ranges.release('000000000000', first)
  ranges.adopt('x', { base: 1050, size: 100 })
  assert.deepEqual(ranges.take('000000000000'), { base: 1200, size: 100 })
  ranges.release('other', { base: 1050, size: 100 })
  assert.deepEqual(ranges.take('000000000001'), { base: 1300, size: 100 })
})

test('departed finds by its full id what has just been removed, and find does not', () => {
  const list = new Directory<{ id: string; name: string }>()
  const item = { id: 'a'.repeat(64), name: 'one' }
  list.add(item)
  assert.equal(list.departed(item.id), undefined)
  list.delete(item)
  assert.equal(list.departed(item.id), item)
  assert.equal(list.departed('a'.repeat(12)), undefined)
  assert.throws(() => list.find(item.id), { code: 'not-found' })
})
