/**
 * What an archive makes the engine remember is bounded: the names of its folders are kept up to its end, since their times
 * are set last, and so are attributes for all entries. A layer of some MB, compressed, can have gigabytes of either.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { TarReader } from '../../src/store/tar-read.ts'
import { tarToOps } from '../../src/store/tar-to-ops.ts'
import { DEFAULT_LIMITS } from '../../src/store/unpack-limits.ts'
import { missing } from '../harness/requirement.ts'
import { listener, openStore, scratch, tarOf, type Store } from './harness.ts'

const skip = missing()
const MB = 2 ** 20
const TAR_END = 1024
const member = (...items: Parameters<typeof tarOf>[0]): Buffer => tarOf(items).subarray(0, -TAR_END)

function assertClean(store: Store): void {
  assert.deepEqual(readdirSync(join(store.root, 'layers')), ['records'])
  assert.deepEqual(readdirSync(join(store.root, 'blobs/sha256')), [])
}

/** Folders with names of 4,000 bytes, `bytes` of names in all, and then the end of the archive. */
function* folders(bytes: number, given: { count: number }): Generator<Buffer> {
  const stem = `${'x'.repeat(248)}/`.repeat(16)
  const number = 'n'.repeat(16)
  const template = member({ name: `${stem}${number}`, kind: 'dir' })
  // In the pax record, which no checksum covers.
  const at = template.indexOf(number, template.indexOf('path='))
  yield member({ name: stem, kind: 'dir' })
  for (; given.count * (stem.length + number.length) < bytes; given.count += 1) {
    template.write(String(given.count).padStart(16, '0'), at, 'latin1')
    yield Buffer.from(template)
  }
  yield Buffer.alloc(TAR_END)
}

test('import stops a layer whose names have more than 256 MiB, and keeps nothing', { skip }, async () => {
  using folder = scratch()
  await using store = await openStore({ root: join(folder.path, 'store') })
  const add = (source: Iterable<Buffer>): Promise<string> =>
    store.service.import(Readable.from(source), { changes: [], onProgress: listener().onProgress })
  assert.equal(DEFAULT_LIMITS.names, 256 * MB)
  const given = { count: 0 }
  const before = process.memoryUsage().rss
  let most = 0
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20)
  try {
    await assert.rejects(add(folders(320 * MB, given)), {
      code: 'too-large',
      message:
        /Unpacking the archive was stopped: the names and ACLs of its folders have more than 268435456 bytes/,
    })
  } finally {
    clearInterval(watch)
  }
  assertClean(store)
  // It stops there: what follows is not read first.
  assert.ok(given.count < 70_000, `${given.count} of 83,000 folders were asked for`)
  assert.ok(most - before < 1200 * MB, `the engine grew by ${(most - before) / MB} MiB`)
  assert.match(await add([tarOf([{ name: 'a/b/c/', kind: 'dir' }])]), /^sha256:/, 'the next one is taken')
})

/** Converts it without a disk: to make so many folders would take longer than to count them. */
async function convert(names: Iterable<string>, limits: Partial<typeof DEFAULT_LIMITS>): Promise<number> {
  let asked = 0
  async function* source(): AsyncGenerator<Buffer> {
    for (const name of names) {
      asked += 1
      yield member({ name })
    }
    yield Buffer.alloc(TAR_END)
  }
  const ops = tarToOps(source(), { layer: true, limits: { ...DEFAULT_LIMITS, ...limits } })
  for await (const bytes of ops) assert.ok(bytes)
  return asked
}

const deep = (depth: number): string => `${'d/'.repeat(depth)}f`

test('tarToOps counts folders that are made for a name as entries', async () => {
  const message = /Unpacking the archive was stopped: it has more than 1000 entries/
  await assert.rejects(convert([deep(1000)], { entries: 1000 }), { code: 'too-large', message })
  assert.equal(await convert([deep(999)], { entries: 1000 }), 1)
  assert.equal(await convert([deep(400), `${deep(400)}2`], { entries: 1000 }), 2, 'each folder once')
})

test('tarToOps counts the names of folders that are made for a name', async () => {
  const message = /the names and ACLs of its folders have more than 10000000 bytes/
  const names = Array.from({ length: 100 }, (_, at) => `${at}/${deep(2000)}`)
  await assert.rejects(convert(names, { names: 10_000_000 }), { code: 'too-large', message })
  // Of files nothing is kept.
  const files = Array.from({ length: 5000 }, (_, at) => `${at}${'f'.repeat(200)}`)
  assert.equal(await convert(files, { names: 1000 }), 5000)
})

/** A pax header for all that follows, or for one entry, with one key of its own. */
function paxHeader(key: string, bytes: number, type: 'g' | 'x' = 'g'): Buffer {
  const value = 'v'.repeat(bytes)
  const rest = ` ${key}=${value}\n`
  const length = [1, 2, 3, 4, 5, 6, 7].map((digits) => digits + rest.length)
  const fits = length.find((n, at) => String(n).length === at + 1) ?? 0
  const header = member({ name: 'global', data: `${fits}${rest}` })
  header.write(type, 156, 'latin1')
  header.fill(0x20, 148, 156)
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

test('tarToOps counts default ACLs, which are set when all is there', async () => {
  let asked = 0
  async function* source(): AsyncGenerator<Buffer> {
    for (; asked < 1000; asked += 1) {
      yield paxHeader('SCHILY.xattr.system.posix_acl_default', 10_000, 'x')
      yield member({ name: `d${asked}/`, kind: 'dir' })
    }
    yield Buffer.alloc(TAR_END)
  }
  const ops = tarToOps(source(), { layer: true, limits: { ...DEFAULT_LIMITS, names: MB } })
  const message = /the names and ACLs of its folders have more than 1048576 bytes/
  await assert.rejects(
    async () => {
      for await (const bytes of ops) assert.ok(bytes)
    },
    { code: 'too-large', message },
  )
  assert.ok(asked < 120, `${asked} folders were asked for`)
})

test('TarReader keeps no more than 64 KiB of global attributes, however many headers bring them', () => {
  const reader = new TarReader()
  const events = (bytes: Buffer): unknown[] => [...reader.push(bytes)]
  for (let at = 0; at < 60; at += 1) assert.deepEqual(events(paxHeader(`key${at}`, 1000)), [])
  for (let at = 0; at < 60; at += 1) assert.deepEqual(events(paxHeader('comment', 40)), [])
  const more = (): void => {
    for (let at = 0; at < 10; at += 1) events(paxHeader(`more${at}`, 1000))
  }
  assert.throws(more, { code: 'invalid-argument', message: /its global attributes have 6[56]\d{3} bytes/ })
})

test(
  'load bounds the names and links that it keeps, and what comes after the archive',
  { skip },
  async () => {
    using folder = scratch()
    const limits = { ...DEFAULT_LIMITS, bytes: 30 * MB, names: MB }
    await using store = await openStore({ root: join(folder.path, 'store'), limits })
    const load = (source: Iterable<Buffer>): Promise<unknown> =>
      store.service.load(Readable.from(source), listener().onProgress)
    function* links(count: number, name: string): Generator<Buffer> {
      for (let at = 0; at < count; at += 1) yield member({ name: `${name}${at}`, kind: 'symlink', link: 'x' })
      yield Buffer.alloc(TAR_END)
    }
    await assert.rejects(load(links(400, `${'n'.repeat(250)}/`.repeat(12))), {
      code: 'too-large',
      message: /the names and ACLs of its folders have more than 1048576 bytes/,
    })
    await assert.rejects(load(links(100_100, '')), {
      code: 'too-large',
      message: /Loading images was stopped: the archive holds more than .* 100000 files/,
    })
    function* endless(): Generator<Buffer> {
      yield tarOf([{ name: 'a', data: 'a' }])
      for (let at = 0; at < 100; at += 1) yield Buffer.alloc(MB)
    }
    await assert.rejects(load(endless()), { code: 'too-large', message: /the archive itself has more than/ })
    assertClean(store)
  },
)
