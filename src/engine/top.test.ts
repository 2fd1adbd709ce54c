import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { processTable, selectProcesses } from './top.ts'

const output = 'UID   PID CMD\nroot    1 /sbin/init splash\nweb    22 nginx: worker process\n\n'

test('selectProcesses keeps the container’s pids and the rest of the line in the last column', () => {
  assert.deepEqual(selectProcesses(output, new Set([22])), {
    titles: ['UID', 'PID', 'CMD'],
    processes: [['web', '22', 'nginx: worker process']],
  })
})

test('selectProcesses refuses a table without pids', () => {
  assert.throws(() => selectProcesses('CMD\nx\n', new Set()), /Couldn't find PID field in ps output/)
})

test('processTable refuses arguments that are no plain options', async () => {
  for (const bad of ['-o `id`', '$(id)', '-o "a b"', ';id']) {
    await assert.rejects(processTable([1], bad), /invalid ps argument/)
  }
})

test('processTable shows processes that ps alone would not, with the columns that are asked for', async () => {
  const { titles, processes } = await processTable([process.pid], '-o pid,comm')
  assert.deepEqual(titles, ['PID', 'COMMAND'])
  // Node 24 calls itself MainThread.
  assert.deepEqual(processes, [[String(process.pid), readFileSync('/proc/self/comm', 'utf8').trim()]])
  const again = await processTable([process.pid], '')
  assert.equal(again.processes.length, 1)
})
