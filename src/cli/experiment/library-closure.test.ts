import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { libraryClosure, parseLoaderCache, readLoaderCache } from './library-closure.ts'

const noLdd = spawnSync('ldd', ['--version']).error === undefined ? false : 'no ldd on this machine'

test('libraryClosure of ls holds the C library and the loader', async () => {
  const { paths } = await libraryClosure(['/bin/ls'])
  assert.ok(
    paths.some((path) => /\/libc\.(so\.6|musl-.*)$/.test(path)),
    paths.join(' '),
  )
  assert.ok(
    paths.some((path) => /\/ld-(linux|musl)-.*\.so\.\d$/.test(path)),
    paths.join(' '),
  )
})

test('libraryClosure agrees with ldd about Node, ls, ps and bash', { skip: noLdd }, async () => {
  for (const program of [process.execPath, '/bin/ls', '/bin/ps', '/bin/bash']) {
    const ours = (await libraryClosure([program])).paths.map((path) => realpathSync(path))
    const output = execFileSync('ldd', [program], { encoding: 'utf8' })
    const theirs = [...output.matchAll(/(\/\S+) \(0x/g)].map((match) => realpathSync(match[1] ?? ''))
    assert.deepEqual([...new Set(ours)].sort(), [...new Set(theirs)].sort(), program)
  }
})

test('libraryClosure needs nothing for a script', async () => {
  assert.deepEqual((await libraryClosure(['/etc/passwd'])).paths, [])
})

test('readLoaderCache answers nothing where there is no cache', async () => {
  assert.equal((await readLoaderCache('/nonexistent/ld.so.cache')).size, 0)
})

test('parseLoaderCache passes over entries for newer processors', () => {
  const strings = Buffer.from('libx.so.1\0/lib/glibc-hwcaps/x86-64-v3/libx.so.1\0/lib/libx.so.1\0')
  const cache = Buffer.alloc(48 + 2 * 24)
  cache.write('glibc-ld.so.cache1.1')
  cache.writeUInt32LE(2, 20)
  for (const [i, hwcap, value] of [[0, 1n << 62n, 10] as const, [1, 0n, 48] as const]) {
    cache.writeUInt32LE(cache.length, 48 + i * 24 + 4)
    cache.writeUInt32LE(cache.length + value, 48 + i * 24 + 8)
    cache.writeBigUInt64LE(hwcap, 48 + i * 24 + 16)
  }
  const found = parseLoaderCache(Buffer.concat([cache, strings]))
  assert.deepEqual([...found], [['libx.so.1', ['/lib/libx.so.1']]])
})

test('parseLoaderCache never throws, whatever follows the magic', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      parseLoaderCache(Buffer.concat([Buffer.from('glibc-ld.so.cache1.1'), bytes]))
    }),
  )
})
