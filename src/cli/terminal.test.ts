import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import { followSize } from './terminal.ts'

/** A terminal that says when its size changes. */
function terminal(): {
  cli: Parameters<typeof followSize>[0]
  change: (rows: number) => void
  warnings: string[]
} {
  const warnings: string[] = []
  const stdout = Object.assign(new EventEmitter(), { isTTY: true, rows: 10, columns: 80 })
  const cli = { stdout, warn: (line: string) => warnings.push(line) }
  if (!isCli(cli)) throw new Error('not a terminal')
  const change = (rows: number): void => {
    stdout.rows = rows
    stdout.emit('resize')
  }
  return { cli, change, warnings }
}

/** followSize uses nothing of it but stdout and warn. */
function isCli(_value: unknown): _value is Parameters<typeof followSize>[0] {
  return true
}

test('followSize has one request under way and ends with the newest size', async () => {
  const { cli, change } = terminal()
  const sent: number[] = []
  const answers = new EventEmitter()
  using _size = followSize(cli, async ({ rows }) => {
    sent.push(rows)
    answers.emit('sent')
    await once(answers, 'answer')
  })
  change(20)
  change(30)
  assert.deepEqual(sent, [10])
  const next = once(answers, 'sent')
  answers.emit('answer')
  await next
  assert.deepEqual(sent, [10, 30])
})

test('followSize asks again while the container has no terminal yet', async () => {
  const { cli, warnings } = terminal()
  const done = new EventEmitter()
  const accepted = once(done, 'accepted')
  let asked = 0
  using _size = followSize(cli, async () => {
    asked += 1
    if (asked < 3) throw new Error('409')
    done.emit('accepted')
  })
  await accepted
  assert.deepEqual([asked, warnings], [3, []])
})
