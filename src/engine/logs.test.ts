import { test } from 'node:test'
import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { openedLogs, readLogs } from './logs.ts'
import type { LogsRequest } from './types.ts'

const request: LogsRequest = {
  follow: false,
  stdout: true,
  stderr: true,
  since: 0,
  until: 0,
  timestamps: false,
  details: false,
  tail: -1,
}
const second = (n: number) => new Date(n * 1000).toISOString().replace('.000Z', '.000000001Z')
const line = (n: number, stream = 'stdout') =>
  `${JSON.stringify({ log: `l${n}\n`, stream, time: second(n) })}\n`
const range = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => line(from + i)).join('')

class Folder implements Disposable {
  readonly path = join(mkdtempSync(join(tmpdir(), 'dwt-eng-logs-')), 'log');
  [Symbol.dispose](): void {
    rmSync(join(this.path, '..'), { recursive: true })
  }
}

async function text(stream: Readable): Promise<string> {
  const parts: Buffer[] = []
  for await (const chunk of stream) if (Buffer.isBuffer(chunk)) parts.push(chunk)
  return Buffer.concat(parts).toString()
}

const read = (path: string, change: Partial<LogsRequest> = {}, ended?: Promise<unknown>, tty = true) =>
  readLogs({ path, tty, ended }, { ...request, ...change }, new AbortController().signal)

test('readLogs reads rotated files in order and skips a torn last line', async () => {
  using folder = new Folder()
  writeFileSync(`${folder.path}.2`, range(0, 2))
  writeFileSync(`${folder.path}.1`, range(2, 4))
  writeFileSync(folder.path, range(4, 6) + '{"log":"to')
  assert.equal(await text(read(folder.path)), 'l0\nl1\nl2\nl3\nl4\nl5\n')
})

test('readLogs answers nothing for a log that does not exist', async () => {
  using folder = new Folder()
  assert.equal(await text(read(folder.path)), '')
  assert.equal(await text(read(folder.path, { follow: true }, Promise.resolve())), '')
})

test('readLogs tails over files, and exactly', async () => {
  using folder = new Folder()
  writeFileSync(`${folder.path}.1`, range(0, 3))
  writeFileSync(folder.path, range(3, 5))
  for (let tail = 0; tail <= 6; tail += 1) {
    const expected = [0, 1, 2, 3, 4]
      .slice(5 - Math.min(tail, 5))
      .map((n) => `l${n}\n`)
      .join('')
    assert.equal(await text(read(folder.path, { tail })), expected, `tail ${tail}`)
  }
})

test('readLogs tails a log longer than its chunk', async () => {
  using folder = new Folder()
  writeFileSync(folder.path, range(0, 20_000))
  assert.equal((await text(read(folder.path, { tail: 15_000 }))).split('\n').length, 15_001)
  assert.equal((await text(read(folder.path))).split('\n').length, 20_001)
})

test('readLogs picks streams, times and timestamps', async () => {
  using folder = new Folder()
  writeFileSync(folder.path, line(1) + line(2, 'stderr') + line(3) + line(4))
  assert.equal(await text(read(folder.path, { stdout: false })), 'l2\n')
  assert.equal(await text(read(folder.path, { since: 2000, until: 3500 })), 'l2\nl3\n')
  assert.equal(await text(read(folder.path, { tail: 1, timestamps: true })), `${second(4)} l4\n`)
  const framed = await text(read(folder.path, { tail: 3 }, undefined, false))
  assert.equal(framed, '\x02\0\0\0\0\0\0\x03l2\n\x01\0\0\0\0\0\0\x03l3\n\x01\0\0\0\0\0\0\x03l4\n')
})

test('readLogs follows over rotations without a gap and ends with the container', async () => {
  using folder = new Folder()
  writeFileSync(folder.path, range(0, 2))
  let end: () => void = () => undefined
  const ended = new Promise<void>((done) => (end = done))
  const stream = read(folder.path, { follow: true }, ended)
  let seen = ''
  stream.on('data', (chunk: Buffer) => (seen += chunk.toString()))
  const closed = new Promise((done) => stream.on('end', done))
  const until = async (count: number) => {
    while (seen.split('\n').length <= count) await new Promise((done) => stream.once('data', done))
  }
  await until(2)
  appendFileSync(folder.path, range(2, 3))
  await until(3)
  // Two rotations at once, the second before the reader woke.
  renameSync(folder.path, `${folder.path}.1`)
  writeFileSync(folder.path, range(3, 5))
  renameSync(`${folder.path}.1`, `${folder.path}.2`)
  renameSync(folder.path, `${folder.path}.1`)
  writeFileSync(folder.path, range(5, 6))
  await until(6)
  appendFileSync(folder.path, range(6, 7))
  end()
  await closed
  assert.equal(seen, [0, 1, 2, 3, 4, 5, 6].map((n) => `l${n}\n`).join(''))
})

test('readLogs stops following when the client goes', async () => {
  using folder = new Folder()
  writeFileSync(folder.path, range(0, 1))
  const abort = new AbortController()
  const stream = readLogs(
    { path: folder.path, tty: true, ended: new Promise(() => undefined) },
    { ...request, follow: true },
    abort.signal,
  )
  stream.once('data', () => abort.abort())
  assert.equal(await text(stream), 'l0\n')
})

test('openedLogs gives the whole log of a container that is removed before anything is read', async () => {
  using folder = new Folder()
  writeFileSync(folder.path, range(0, 3))
  for (const follow of [false, true]) {
    const source = { path: folder.path, tty: true, ended: Promise.resolve() }
    const stream = await openedLogs(source, { ...request, follow }, new AbortController().signal)
    renameSync(folder.path, `${folder.path}-gone`)
    assert.equal(await text(stream), 'l0\nl1\nl2\n')
    renameSync(`${folder.path}-gone`, folder.path)
  }
})
