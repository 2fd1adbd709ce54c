import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import fc from 'fast-check'
import { exampleRecord as record } from './example-record.ts'
import { readRecord, RecordFile } from './record-file.ts'
import { parseRecord } from './record.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dwt-record-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const inode = () => statSync(join(folder, 'record.json')).ino
const found = () => {
  const { value, sequence } = readRecord(folder) ?? { value: undefined, sequence: -1 }
  return { record: parseRecord(value), sequence }
}

test('RecordFile gives back the last of any number of states, also to the next engine', () => {
  const count = fc.array(fc.record({ restartCount: fc.nat(), name: fc.constantFrom('one', 'two') }))
  fc.assert(
    fc.property(count, fc.nat(9), (changes, reopenAt) => {
      rmSync(folder, { recursive: true })
      folder = mkdtempSync(join(tmpdir(), 'dwt-record-'))
      let file = new RecordFile(folder)
      file.save(record())
      for (const [n, change] of changes.entries()) {
        if (n === reopenAt) file = new RecordFile(folder, found())
        file.save(record(change))
      }
      assert.deepEqual(found().record, record(changes.at(-1)))
    }),
    { numRuns: 50 },
  )
})

test('RecordFile writes record.json again only when more than the state has changed', () => {
  const file = new RecordFile(folder)
  file.save(record())
  const before = inode()
  file.save(record({ restartCount: 1 }))
  new RecordFile(folder, found()).save(record({ restartCount: 2 }))
  assert.equal(inode(), before)
  file.save(record({ name: 'other' }))
  assert.notEqual(inode(), before)
})

test('RecordFile leaves the record that was, the state too, when not all of it can be written', () => {
  const file = new RecordFile(folder)
  file.save(record())
  file.save(record({ restartCount: 1 }))
  // Nothing can be written under that name, as on a full disk; what is overwritten in place can.
  rmSync(join(folder, '.tmp-record.json'), { force: true })
  mkdirSync(join(folder, '.tmp-record.json'))
  assert.throws(() => file.save(record({ restartCount: 2, name: 'other' })), /Writing record\.json/)
  assert.deepEqual(found().record, record({ restartCount: 1 }))
  file.save(record({ restartCount: 3 }))
  assert.deepEqual(found().record, record({ restartCount: 3 }))
  rmSync(join(folder, '.tmp-record.json'), { recursive: true })
  file.save(record({ restartCount: 4, name: 'other' }))
  assert.deepEqual(found().record, record({ restartCount: 4, name: 'other' }))
})

test('readRecord takes the state before when the last write was cut short anywhere', () => {
  const file = new RecordFile(folder)
  file.save(record())
  for (const restartCount of [1, 2, 3]) file.save(record({ restartCount }))
  const path = join(folder, 'state-b.json')
  const whole = readFileSync(path)
  const old = Buffer.from(whole.toString().replaceAll('3', '1'))
  for (let cut = 0; cut < whole.length - 1; cut++) {
    writeFileSync(path, whole.subarray(0, cut))
    assert.equal(found().record.restartCount, 2, `the first ${cut} bytes`)
    writeFileSync(path, Buffer.concat([whole.subarray(0, cut), old.subarray(cut)]))
    assert.ok([2, 3].includes(found().record.restartCount), `${cut} bytes over the ones before`)
  }
  writeFileSync(path, whole)
  assert.equal(found().record.restartCount, 3)
})

test('readRecord says that there is none, and throws for one that is no JSON', () => {
  assert.equal(readRecord(folder), undefined)
  assert.deepEqual(readdirSync(folder), [])
  writeFileSync(join(folder, 'record.json'), '{"version":1')
  assert.throws(() => readRecord(folder), SyntaxError)
})
