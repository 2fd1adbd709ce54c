import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DewarError } from '../base/errors.ts'
import { Records } from './records.ts'

interface Thing {
  readonly name: string
}

function parse(value: unknown): Thing {
  if (typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string') {
    return { name: value.name }
  }
  throw new Error('name is missing')
}

function scratch(): { readonly path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), 'dwt-img-records-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

test('Records gives back what was written, after reopening', async () => {
  using folder = scratch()
  const records = new Records(folder.path, { parse, kind: 'thing' })
  await records.load()
  await records.write('a', { name: 'first' })
  await records.write('a', { name: 'second' })
  await records.write('b', { name: 'other' })
  await records.remove('b')
  await records.remove('never-there')
  const again = await new Records(folder.path, { parse, kind: 'thing' }).load()
  assert.deepEqual([...again.records], [['a', { name: 'second' }]])
  assert.deepEqual(again.damaged, [])
})

test('Records cleans leftovers of interrupted writes at load', async () => {
  using folder = scratch()
  writeFileSync(join(folder.path, '.tmp-0123'), '{"name":')
  const { records } = await new Records(folder.path, { parse, kind: 'thing' }).load()
  assert.equal(records.size, 0)
  assert.deepEqual(readdirSync(folder.path), [])
})

test('Records puts a damaged record aside, names it, and never overwrites an earlier one', async () => {
  using folder = scratch()
  for (const content of ['{"name":', '{"nome":1}']) {
    writeFileSync(join(folder.path, 'x.json'), content)
    const { records, damaged } = await new Records(folder.path, { parse, kind: 'thing' }).load()
    assert.equal(records.size, 0)
    assert.equal(damaged[0]?.id, 'x')
    assert.match(damaged[0]?.error.message ?? '', /Reading the thing record .*x\.json failed: .*kept as/)
    assert.equal(readFileSync(damaged[0]?.keptAs ?? '', 'utf8'), content)
  }
  assert.deepEqual(readdirSync(folder.path).sort(), ['x.json.damaged', 'x.json.damaged-1'])
})

test('Records refuses ids that are paths', async () => {
  using folder = scratch()
  const records = new Records(folder.path, { parse, kind: 'thing' })
  for (const id of ['../x', 'a/b', '', '.tmp-1', '.', 'x'.repeat(201), 'a\0b']) {
    await assert.rejects(records.write(id, { name: '' }), (error) => error instanceof DewarError)
  }
})

for (const durable of [false, true]) {
  test(`Records applies concurrent changes of one id in call order (durable: ${durable})`, async () => {
    using folder = scratch()
    const records = new Records(folder.path, { parse, kind: 'thing', durable })
    await records.load()
    const thing = { name: '' }
    const all: Promise<void>[] = []
    for (let n = 0; n < 20; n += 1) {
      thing.name = String(n)
      all.push(records.write('a', thing))
      if (n === 10) all.push(records.remove('a'))
    }
    await Promise.all(all)
    const { records: found } = await new Records(folder.path, { parse, kind: 'thing' }).load()
    assert.deepEqual(found.get('a'), { name: '19' })
  })
}
