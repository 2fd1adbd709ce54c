/** The native side takes any operation stream, and TypeScript any tar, without a fault and without leaving the folder. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { DewarError } from '../../src/base/errors.ts'
import { emptySummary, tarToOps } from '../../src/store/tar-to-ops.ts'
import { MalformedOps, OpsDecoder } from '../../src/store/ops.ts'
import { scratch, tarOf } from './harness.ts'

const ARCHIVES = [
  tarOf([
    { name: 'a/', kind: 'dir', mode: 0o2755, xattrs: [['user.x', Buffer.from('y')]] },
    { name: 'a/b', data: 'hello', uid: 1, gid: 2 },
    { name: 'a/c', kind: 'hardlink', link: 'a/b' },
    { name: 'l', kind: 'symlink', link: '../../etc' },
    { name: 'l/x', data: 'x' },
    { name: 'p', kind: 'fifo' },
  ]),
  tarOf([
    { name: '.wh.gone' },
    { name: 'a/.wh..wh..opq' },
    { name: 'a/deep/er/file', data: Buffer.alloc(9000, 'z') },
    { name: 'a', data: 'now a file' },
    { name: 'a/', kind: 'dir' },
  ]),
]

async function opsOf(tar: Buffer): Promise<Buffer> {
  async function* source(): AsyncGenerator<Buffer> {
    yield tar
  }
  const parts: Buffer[] = []
  for await (const part of tarToOps(source(), { layer: true }, emptySummary())) parts.push(part)
  return Buffer.concat(parts)
}

test('files_unpack takes any stream without a fault, and writes nothing outside its folder', async () => {
  using folder = scratch()
  const target = join(folder.path, 'target')
  mkdirSync(target)
  writeFileSync(join(folder.path, 'canary'), 'alive')
  const program = join(folder.path, 'files-fuzz')
  const flags = ['-std=gnu11', '-g', '-O1', '-Wall', '-Wextra', '-Werror', '-fsanitize=address,undefined']
  execFileSync('cc', [
    ...flags,
    '-fno-sanitize-recover=all',
    '-o',
    program,
    'suites/native/fuzz-files.c',
    'native/files.c',
    'native/io.c',
  ])
  const files = await Promise.all(
    ARCHIVES.map(async (tar, at) => {
      const file = join(folder.path, `ops-${at}`)
      writeFileSync(file, await opsOf(tar))
      return file
    }),
  )
  // Leak detection reads /proc, which the chroot does not have.
  const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' }
  const before = readdirSync(folder.path).toSorted()
  const out = execFileSync(program, [target, '20261123', '20000', ...files], { encoding: 'utf8', env })
  assert.match(out, /^accepted 1 packed \d{3,} |^accepted 2 packed \d{3,} /, out)
  assert.equal(readFileSync(join(folder.path, 'canary'), 'utf8'), 'alive')
  assert.deepEqual(readdirSync(folder.path).toSorted(), before)
})

test('tarToOps answers any bytes with operations that stay below the root, or with a DewarError', async () => {
  const archives = fc.constantFrom(...ARCHIVES)
  const changes = fc.array(fc.tuple(fc.nat(6000), fc.integer({ min: 0, max: 255 })), { maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(archives, changes, fc.nat(20_000), async (archive, edits, cut) => {
      const tar = Buffer.from(archive.subarray(0, Math.max(cut, 600)))
      for (const [at, byte] of edits) tar[at % tar.length] = byte
      repairChecksums(tar)
      const ops = await opsOf(tar).catch((error: unknown) => {
        assert.ok(error instanceof DewarError, String(error))
        return undefined
      })
      if (ops === undefined) return
      for (const event of new OpsDecoder().push(ops)) {
        if (event.type !== 'entry') continue
        assert.doesNotMatch(event.entry.path, /(^|\/)\.\.(\/|$)|^\/|\0/)
        if (event.entry.kind === 'hardlink')
          assert.doesNotMatch(event.entry.link ?? '', /(^|\/)\.\.(\/|$)|^\/|\0/)
      }
    }),
    { numRuns: 2000 },
  )
})

/** Otherwise nearly every change would end at the checksum and show nothing. */
function repairChecksums(tar: Buffer): void {
  for (let at = 0; at + 512 <= tar.length; at += 512) {
    if (tar.toString('latin1', at + 257, at + 262) !== 'ustar') continue
    tar.fill(0x20, at + 148, at + 156)
    const sum = tar.subarray(at, at + 512).reduce((total, byte) => total + byte, 0)
    tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1')
  }
}

test('OpsDecoder answers any bytes with events or MalformedOps, however they are cut', async () => {
  const ops = await opsOf(ARCHIVES[1] ?? Buffer.alloc(0))
  const edits = fc.array(fc.tuple(fc.nat(ops.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 4 })
  fc.assert(
    fc.property(edits, fc.integer({ min: 1, max: 5000 }), (changes, piece) => {
      const bytes = Buffer.from(ops)
      for (const [at, byte] of changes) bytes[at] = byte
      const decoder = new OpsDecoder()
      try {
        for (let at = 0; at < bytes.length; at += piece) {
          for (const event of decoder.push(bytes.subarray(at, at + piece))) assert.ok(event)
        }
        decoder.finish()
      } catch (error) {
        assert.ok(error instanceof MalformedOps, String(error))
      }
    }),
    { numRuns: 2000 },
  )
})
