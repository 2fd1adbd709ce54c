import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CATALOGUE } from './catalogue.ts'
import { PROBES } from './probes/index.ts'
import { OBSERVERS } from './types.ts'

test('PROBES answers every question of the catalogue', () => {
  assert.ok(CATALOGUE.length >= 96, `only ${CATALOGUE.length} questions`)
  const answered = new Map(PROBES.map(({ id, slug }) => [id, slug]))
  const open = CATALOGUE.filter(({ id }) => !answered.has(id))
  assert.deepEqual(open, [])
  const renamed = CATALOGUE.filter(({ id, slug }) => answered.has(id) && answered.get(id) !== slug)
  assert.deepEqual(renamed, [])
})

test('PROBES has each id once, and says of each what a reader needs', () => {
  const ids = PROBES.map(({ id }) => id)
  assert.deepEqual(ids.toSorted(), [...new Set(ids)].toSorted())
  for (const probe of PROBES) {
    assert.match(probe.question, /\?$/, `${probe.id} asks a question`)
    assert.ok(probe.slug.startsWith(`${probe.direction}.`), `${probe.id} is named after its direction`)
    assert.ok(probe.method !== '' && probe.remedy !== '', `${probe.id} has a method and a remedy`)
    assert.ok(probe.references.length > 0, `${probe.id} has references`)
    assert.deepEqual(
      probe.observers.filter((observer) => !OBSERVERS.includes(observer)),
      [],
    )
  }
})
