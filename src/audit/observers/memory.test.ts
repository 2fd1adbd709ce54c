import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { makeCanary } from '../canary.ts'
import { controlProcess } from './control-process.ts'
import { holdsNothing, searchMemory, searchRegions } from './memory.ts'
import type { Memory, Region } from './memory.ts'

const PAGE = 4096
const START = 0x7f00_0000_0000
const { signal } = new AbortController()
const canary = makeCanary('memory')

function regionOf(pages: number): Region {
  return { start: BigInt(START), end: BigInt(START + pages * PAGE), what: 'anonymous', cut: false }
}

interface Counted extends Memory {
  readonly calls: () => number
}

/** As /proc/PID/mem answers: up to the first page that cannot be read. */
function memoryOf(content: Buffer, closed: (page: number) => boolean, empty = false): Counted {
  let calls = 0
  return {
    signal,
    calls: () => calls,
    isEmpty: async () => await Promise.resolve(empty),
    async read(buffer, at) {
      calls += 1
      const from = at - START
      let end = from
      while (end < from + buffer.length && !closed(Math.floor(end / PAGE)))
        end = Math.min(from + buffer.length, (Math.floor(end / PAGE) + 1) * PAGE)
      return await Promise.resolve(end === from ? undefined : content.copy(buffer, 0, from, end))
    },
  }
}

test('searchRegions finds a word in the page after one that cannot be read, wherever that is', async () => {
  for (const closed of [0, 1, 5]) {
    const content = Buffer.alloc(2048 * PAGE)
    canary.bytes.copy(content, (closed + 1) * PAGE)
    const memory = memoryOf(content, (page) => page === closed)
    const { hits, bytes } = await searchRegions([regionOf(2048)], [canary], memory)
    assert.equal(hits.length, 1)
    assert.match(hits[0]?.where ?? '', new RegExp(`^${(START + (closed + 1) * PAGE).toString(16)} `))
    assert.ok(bytes >= 2047 * PAGE, 'all else was read')
  }
})

test('searchRegions finds a word across two pieces', async () => {
  const content = Buffer.alloc(2048 * PAGE)
  canary.bytes.copy(content, 1024 * PAGE - 16)
  const { hits, whole } = await searchRegions(
    [regionOf(2048)],
    [canary],
    memoryOf(content, () => false),
  )
  assert.equal(hits.length, 1)
  assert.ok(whole)
})

test('searchRegions says whole of pages that hold nothing, and of no others that it could not read', async () => {
  const content = Buffer.alloc(8 * PAGE)
  const search = (empty: boolean) =>
    searchRegions(
      [regionOf(8)],
      [canary],
      memoryOf(content, (page) => page === 3, empty),
    )
  assert.equal((await search(true)).whole, true)
  assert.equal((await search(false)).whole, false)
  const cut = searchRegions(
    [{ ...regionOf(8), cut: true }],
    [canary],
    memoryOf(content, () => false),
  )
  assert.equal((await cut).whole, false)
})

test('searchRegions gives up where very many pages cannot be read, and says so', async () => {
  const memory = memoryOf(Buffer.alloc(0), () => true, true)
  const { whole } = await searchRegions([regionOf(2 ** 18)], [canary], memory)
  assert.equal(whole, false)
  assert.ok(memory.calls() < 10_000, `${memory.calls()} reads`)
})

test('holdsNothing tells pages that are not there from those that are closed', () => {
  assert.ok(holdsNothing(0n))
  assert.ok(holdsNothing((1n << 62n) | (1n << 58n)), 'a guard is written down as if it were swapped')
  assert.ok(!holdsNothing(1n << 63n))
  assert.ok(!holdsNothing(1n << 62n))
})

test('searchMemory comes to its end in a real process, and beside one that has ended', async () => {
  const child = spawn('true')
  await once(child, 'close')
  await using control = await controlProcess()
  const { hits, processes, complete } = await searchMemory(
    [child.pid ?? 0, control.pid],
    [control.argv],
    signal,
  )
  assert.ok(hits.length > 0)
  assert.equal(processes, 1)
  assert.ok(complete)
})

/** It has no memory that could be opened, and does not end. */
const KERNEL_THREAD = 2
const isThere = existsSync('/proc/2/comm') && readFileSync('/proc/2/comm', 'utf8') === 'kthreadd\n'

test(
  'searchMemory does not come to its end where a process that lives cannot be searched',
  { skip: isThere ? false : 'no thread of the kernel is seen here' },
  async () => {
    assert.equal((await searchMemory([KERNEL_THREAD], [canary], signal)).complete, false)
  },
)
