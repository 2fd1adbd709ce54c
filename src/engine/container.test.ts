import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { Container } from './container.ts'
import { exampleRecord } from './example-record.ts'
import { readRecord, RecordFile } from './record-file.ts'
import { parseRecord } from './record.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dwt-container-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const container = () => new Container(exampleRecord(), folder, new RecordFile(folder))

/** As on a full disk: nothing new can be written, what is overwritten in place can. */
const full = () => mkdirSync(join(folder, '.tmp-record.json'))
const roomy = () => rmSync(join(folder, '.tmp-record.json'), { recursive: true })

test('Container.update changes nothing that it cannot write', async () => {
  const one = container()
  await one.update({})
  await one.update({ restartCount: 1 })
  full()
  await assert.rejects(one.update({ name: 'two', restartCount: 2 }), /Writing record\.json/)
  assert.deepEqual([one.name, one.record.restartCount, one.saved], ['one', 1, true])
  assert.deepEqual(parseRecord(readRecord(folder)?.value), one.record)
  roomy()
  await one.update({ name: 'two', restartCount: 2 })
  assert.deepEqual([one.name, one.record.restartCount], ['two', 2])
  assert.deepEqual(parseRecord(readRecord(folder)?.value), one.record)
})

test('Container.remember keeps what it cannot write yet, and update what waits to be written', async () => {
  const one = container()
  await one.update({})
  full()
  assert.equal(await one.remember({ name: 'two' }, () => undefined), false)
  await assert.rejects(one.update({ path: 'false' }))
  assert.deepEqual([one.name, one.record.path, one.saved], ['two', 'true', false])
  roomy()
  await one.update({ path: 'false' })
  assert.equal(one.saved, true)
  assert.deepEqual(parseRecord(readRecord(folder)?.value), one.record)
})
