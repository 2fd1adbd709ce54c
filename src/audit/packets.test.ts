/** A capture on a wire that others use, too. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { makeCanary } from './canary.ts'
import { processOfChild } from './guest-process.ts'
import { openGuest } from './guest.ts'
import type { Guest } from './guest-types.ts'
import { inetAddress, lost, receive, sendUdp, sniff } from './packets.ts'

const needs = process.getuid?.() === 0 ? false : 'needs root: run `sudo npm test`'

function projectOf(folder: string): string {
  return existsSync(join(folder, 'package-lock.json')) ? folder : projectOf(dirname(folder))
}

/** In a network of its own, with a loopback. */
async function alone(): Promise<Guest> {
  const program = join(projectOf(dirname(fileURLToPath(import.meta.url))), 'native/build/dewar-probe')
  const words = [
    '--net',
    '--pid',
    '--fork',
    '--kill-child',
    'sh',
    '-c',
    'ip link set lo up && exec "$0" audit-guest',
  ]
  return openGuest(processOfChild(spawn('unshare', [...words, program], { stdio: 'pipe' })))
}

/** Two frames on the loopback for each: it goes out and comes in. */
async function chatter(guest: Guest, times: number): Promise<void> {
  const to = inetAddress('127.0.0.1', 9)
  await guest.repeat(
    [
      { name: 'socket', args: [2, 2, 0], ends: true },
      { name: 'sendto', args: [{ result: 0 }, { in: Buffer.alloc(32) }, 32, 0, { in: to }, 16] },
      { name: 'close', args: [{ result: 0 }] },
    ],
    { times },
  )
}

test(
  'receive reads a capture to its end: a word behind thousands of other packets is found',
  { skip: needs },
  async () => {
    await using guest = await alone()
    const wire = await sniff(guest)
    assert.ok(typeof wire === 'bigint', String(wire))
    await chatter(guest, 2000)
    const canary = makeCanary('traffic')
    await sendUdp(guest, '127.0.0.1', 9, canary.bytes)
    assert.ok((await receive(guest, wire, canary)).length > 0)
    assert.equal(await lost(guest, wire), 0)
  },
)

test('lost tells of packets that a capture had no room for', { skip: needs }, async () => {
  await using guest = await alone()
  const wire = await sniff(guest)
  assert.ok(typeof wire === 'bigint', String(wire))
  await chatter(guest, 60_000)
  assert.ok((await lost(guest, wire)) > 0)
})
