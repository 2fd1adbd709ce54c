import { test } from 'node:test'
import assert from 'node:assert/strict'
import { checkName, nameConflict, newId, randomName } from './names.ts'

test('newId gives 64 hex digits', () => {
  assert.match(newId(), /^[0-9a-f]{64}$/)
})

test('randomName avoids names in use', () => {
  const name = randomName(() => false)
  assert.match(name, /^[a-z]+_[a-z]+$/)
  let asked = 0
  assert.match(
    randomName(() => (asked += 1) < 10),
    /^[a-z]+_[a-z]+[0-9]+$/,
  )
})

test('checkName takes one leading slash and refuses anything that could be a path', () => {
  assert.equal(checkName('/web-1'), 'web-1')
  for (const bad of ['', 'a', '/', '//ab', '../x', 'a/b', 'ä1', '-ab', 'a b']) {
    assert.throws(() => checkName(bad), /Invalid container name \(.*\), only/)
  }
})

test('nameConflict uses the words Docker clients show', () => {
  assert.equal(
    nameConflict('web', 'abc').message,
    'Conflict. The container name "/web" is already in use by container "abc". ' +
      'You have to remove (or rename) that container to be able to reuse that name.',
  )
})
