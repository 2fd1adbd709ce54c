import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openJournal } from '../journal.ts'
import { chooseTargets } from './find.ts'

/** On a machine where nothing listens. */
async function names(...words: readonly string[]): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'dewar-find-'))
  const journal = openJournal('find', folder)
  try {
    const machine = {
      ...{ journal, program: Buffer.alloc(0), env: {}, runArguments: [], runBody: {} },
      dewar: () => Promise.reject(new Error('it does not start')),
    }
    const choices = await chooseTargets(words, machine)
    for (const choice of choices) assert.ok(!('absent' in choice) || choice.absent.missing?.remedy)
    return choices.map(({ name }) => name)
  } finally {
    journal.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

test('chooseTargets leaves the socket out of a name unless two would be the same', async () => {
  assert.deepEqual(await names('docker=/nowhere/a.sock', 'dewar'), ['docker', 'dewar'])
  assert.deepEqual(await names('docker=/nowhere/a.sock', 'docker=/nowhere/b.sock'), [
    'docker=/nowhere/a.sock',
    'docker=/nowhere/b.sock',
  ])
  assert.deepEqual(await names('dewar:sealed=/nowhere/d.sock', 'dewar=/nowhere/d.sock'), [
    'dewar:sealed',
    'dewar',
  ])
})

test('chooseTargets takes a word that is said twice once', async () => {
  assert.deepEqual(await names('docker=/nowhere/a.sock', 'docker=/nowhere/a.sock'), ['docker'])
})

test('chooseTargets refuses a word that names none before it starts an engine', async () => {
  await assert.rejects(names('dewar', 'nosuch'), /auditing nosuch failed.*use dewar, docker/)
})
