/**
 * Layers in gzip, zstd, xz and bzip2 from an enemy: bombs, windows, cut files; and what a program that decodes xz or bzip2
 * could do if the enemy's bytes took it over, shown by one that has been taken over already.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { DewarError } from '../../src/base/errors.ts'
import { decompress } from '../../src/store/decompress.ts'
import { DEFAULT_LIMITS } from '../../src/store/unpack-limits.ts'
import { findProgram, missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { listener, openStore, scratch, tarOf, type Store } from './harness.ts'

const FORMATS = ['gzip', 'zstd', 'xz', 'bzip2'] as const
const skip = missing(...FORMATS)
const MB = 1_000_000

const pack = (format: string, input: Buffer, ...options: readonly string[]): Buffer =>
  execFileSync(format, ['-c', '-q', ...options], { input, maxBuffer: 64 * MB, stdio: 'pipe' })

const add = (store: Store, source: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<string> =>
  store.service.import(Readable.from(source), { changes: [], onProgress: listener().onProgress })

function assertClean(store: Store): void {
  assert.deepEqual(readdirSync(join(store.root, 'layers')), ['records'])
  assert.deepEqual(readdirSync(join(store.root, 'blobs/sha256')), [])
}

/** Children of this process, in which the store is, that run such a program. */
function decoders(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      return new RegExp(`^\\d+ \\((xz|bzip2)\\) [^Z] ${process.pid} `).test(stat)
    } catch {
      return false
    }
  })
}

/** An archive that begins like any other, and then so many zeros, which nothing of it says are there. */
async function* bomb(format: string, zeros: number): AsyncGenerator<Buffer> {
  const script = `cat; head -c ${zeros} /dev/zero`
  const packer: ChildProcess = spawn('sh', ['-c', `{ ${script}; } | ${format} -c -q`], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const ended = once(packer, 'close')
  packer.stdin?.end(tarOf([{ name: 'a', data: 'a' }]))
  for await (const bytes of packer.stdout ?? []) if (Buffer.isBuffer(bytes)) yield bytes
  await ended
}

for (const format of FORMATS) {
  test(`import stops bombs in ${format}, of content and beside it, and keeps nothing`, { skip }, async () => {
    using folder = scratch()
    const limits = { ...DEFAULT_LIMITS, bytes: 10 * MB }
    await using store = await openStore({ root: join(folder.path, 'store'), limits })
    const before = process.memoryUsage().rss
    const content = pack(format, tarOf([{ name: 'a', data: Buffer.alloc(11 * MB) }]))
    await assert.rejects(add(store, [content]), {
      code: 'too-large',
      message: /unpacks to more than 10000000 bytes/,
    })
    assertClean(store)
    await assert.rejects(add(store, bomb(format, 400 * MB)), {
      code: 'too-large',
      message: /Unpacking the archive was stopped: the archive itself has more than 36777216 bytes/,
    })
    assertClean(store)
    await until('the decoder to end', () => decoders().length === 0)
    const grown = process.memoryUsage().rss - before
    assert.ok(grown < 300 * MB, `the engine grew by ${grown / MB} MB`)
    assert.match(await add(store, [pack(format, tarOf([{ name: 'a', data: 'a' }]))]), /^sha256:/)
  })

  test(`import tells a file of ${format} that was cut anywhere, and keeps nothing`, { skip }, async () => {
    using folder = scratch()
    await using store = await openStore({ root: join(folder.path, 'store') })
    const noise = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * at * 31 + (at >> 3)) & 0xff))
    const whole = pack(format, tarOf([{ name: 'a', data: noise }]))
    for (const length of [whole.length - 1, whole.length - 5, Math.floor(whole.length / 2), 60])
      await assert.rejects(
        add(store, [whole.subarray(0, length)]),
        { code: 'invalid-argument', message: new RegExp(`the ${format} data is damaged.*fetch it again`) },
        `${length} of ${whole.length}`,
      )
    assertClean(store)
    assert.deepEqual(decoders(), [])
    assert.match(await add(store, [whole]), /^sha256:/)
  })
}

/** A frame with a window of 2^`exponent` bytes, whose blocks of four bytes are 128 KiB each; it has no end. */
function zstdOf(exponent: number, blocks: number): Buffer {
  const start = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (exponent - 10) << 3])
  const block = Buffer.from([0x02, 0x00, 0x10, 0x00])
  return Buffer.concat([start, ...Array.from({ length: blocks }, () => block)])
}

/** Bytes that come out, and by how much the process grew meanwhile; what fails is told with them. */
async function decoded(data: Buffer): Promise<{ all: number; grown: number; error?: DewarError }> {
  const told = { all: 0, grown: 0 }
  const before = process.memoryUsage().rss
  try {
    for await (const { length } of decompress(Readable.from([data], { objectMode: true }))) {
      told.all += length
      told.grown = Math.max(told.grown, process.memoryUsage().rss - before)
    }
    return told
  } catch (error) {
    assert.ok(error instanceof DewarError, String(error))
    return { ...told, error }
  }
}

test('a window of more than 128 MiB is refused before memory is taken for it', { skip }, async () => {
  const asked = zstdOf(30, 100)
  // Not only of the first frame: others, and some that are skipped, may come before.
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
  const behind = Buffer.concat([pack('zstd', Buffer.from('x')), skippable, asked])
  for (const data of [asked, behind]) {
    const { error, grown } = await decoded(data)
    assert.equal(error?.code, 'too-large')
    assert.match(
      error.message,
      /the zstd data asks for a window of 1073741824 bytes, and 134217728 are allowed/,
    )
    assert.ok(grown < 100 * MB)
  }
  const { error } = await decoded(pack('xz', Buffer.from('x'), '--lzma2=preset=0,dict=512MiB'))
  assert.equal(error?.code, 'too-large')
  assert.match(error.message, /the xz data asks for more than 256 MiB of memory/)
  assert.equal((await decoded(pack('zstd', Buffer.alloc(MB), '--long=27'))).all, MB)
})

test('32 KB of zstd that become a gigabyte are not decoded at once', { skip }, async () => {
  const { all, grown, error } = await decoded(zstdOf(17, 8000))
  assert.equal(all, 8000 * 128 * 1024)
  assert.match(error?.message ?? '', /unexpected EOF/)
  assert.ok(grown < 300 * MB, `the engine grew by ${grown / MB} MB`)
})

/** What is tried instead of decoding; told as the program's last words. */
const TAKEN_OVER = `#!/bin/sh
try() { word=$1; shift; if "$@" >/dev/null 2>&1; then echo "$word yes"; else echo "$word no"; fi; }
look() {
  echo "ids $(id -u) $(id -g) $(id -G)"
  grep -E '^(Cap(Prm|Eff|Inh|Amb|Bnd)|NoNewPrivs)' /proc/self/status
  for name in net ipc uts; do echo "$name $(readlink /proc/self/ns/$name)"; done
  echo "interfaces $(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' \\n')"
  echo "cwd $(pwd)"
  for fd in /proc/$$/fd/*; do echo "fd $(readlink $fd)"; done
  echo "env $(env | cut -d= -f1 | sort | tr '\\n' ' ')"
  try store ls STORE
  try secret cat SECRET
  try environment cat /proc/$PPID/environ
  try memory dd if=/proc/$PPID/mem count=0
  try descriptors ls /proc/$PPID/fd
  try signal kill -0 $PPID
  try make touch STORE/made
  try root chown 0:0 "$0"
  try public cat PUBLIC
}
# Of what it says only the first ten pieces are kept.
echo "$(look)" >&2
exit 1
`

for (const [program, magic] of [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
] as const)
  test(
    `who takes over ${program} is nobody: no network, and no file, process, right or secret of the engine’s`,
    { skip },
    async () => {
      using folder = scratch()
      chmodSync(folder.path, 0o755)
      const root = join(folder.path, 'store')
      await using _store = await openStore({ root })
      chmodSync(root, 0o700)
      const [secret, open, programs] = ['secret', 'public', 'bin'].map((name) => join(folder.path, name))
      writeFileSync(secret ?? '', 'x', { mode: 0o600 })
      writeFileSync(open ?? '', 'x', { mode: 0o644 })
      mkdirSync(programs ?? '')
      const script = TAKEN_OVER.replaceAll('STORE', root).replace('SECRET', secret ?? '')
      writeFileSync(join(programs ?? '', program), script.replace('PUBLIC', open ?? ''), { mode: 0o755 })
      const path = process.env['PATH']
      process.env['PATH'] = `${programs}:${path}`
      process.env['DEWAR_TEST_SECRET'] = 'told'
      try {
        const { error } = await decoded(Buffer.from(magic))
        const said = error?.message ?? ''
        for (const line of ['ids 65534 65534 65534', 'cwd /', 'public yes'])
          assert.ok(said.includes(line), said)
        for (const word of ['Prm', 'Eff', 'Inh', 'Amb', 'Bnd'])
          assert.match(said, new RegExp(`Cap${word}:\\s0{16}\\n`))
        assert.match(said, /^NoNewPrivs:\s1$/m)
        for (const name of ['net', 'ipc', 'uts']) {
          const [, own] = new RegExp(`^${name} (${name}:.*)$`, 'm').exec(said) ?? []
          assert.ok(own !== undefined && own !== readlinkSync(`/proc/self/ns/${name}`), said)
        }
        // Down, and nobody else's: not even services of the host's loopback are there.
        assert.match(said, /^interfaces lo$/m)
        const files = [...said.matchAll(/^fd (\/.*)$/gm)].map(([, file]) => file)
        assert.deepEqual(
          files.filter((file) => file !== join(programs ?? '', program)),
          [],
          'no file of the engine came along',
        )
        assert.match(said, /^env (PWD |_ |SHLVL |OLDPWD )*PATH (PWD |_ |SHLVL |OLDPWD )*$/m)
        const tried =
          said.match(/^(store|secret|environment|memory|descriptors|signal|make|root) (yes|no)$/gm) ?? []
        assert.equal(tried.length, 8, said)
        assert.deepEqual(
          tried.filter((line) => line.endsWith('yes')),
          [],
        )
      } finally {
        process.env['PATH'] = path
        delete process.env['DEWAR_TEST_SECRET']
      }
    },
  )

test('a program that is missing is told with what to install', { skip }, async () => {
  const path = process.env['PATH']
  using folder = scratch()
  const only = (...names: readonly string[]) => {
    const bin = join(folder.path, names.join('-') || 'none')
    mkdirSync(bin)
    for (const name of names) symlinkSync(findProgram(name) ?? '', join(bin, name))
    return bin
  }
  const bins = [[], ['unshare'], ['unshare', 'setpriv']].map((names) => only(...names))
  try {
    for (const bin of bins) {
      process.env['PATH'] = bin
      const { error } = await decoded(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]))
      assert.equal(error?.code, 'not-implemented')
      assert.match(
        error.message,
        /^Decompressing xz failed: .*(ENOENT|No such file).*\(install xz-utils and util-linux where/,
      )
    }
  } finally {
    process.env['PATH'] = path
  }
})
