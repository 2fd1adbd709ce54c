import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { DewarError } from '../../base/errors.ts'
import { readElf } from './elf.ts'

const scratch = await mkdtemp(join(tmpdir(), 'dwt-elf-'))
after(() => rm(scratch, { recursive: true }))

async function fileOf(name: string, content: Uint8Array | string): Promise<string> {
  const path = join(scratch, name)
  await writeFile(path, content)
  return path
}

test('readElf finds the loader and the libraries of the running Node', async () => {
  const elf = await readElf(process.execPath)
  assert.ok(elf !== undefined)
  assert.equal(elf.machine, process.arch === 'arm64' ? 183 : 62)
  assert.match(elf.interpreter ?? '', /^\/.*ld-.*\.so/)
  assert.ok(elf.needed.some((name) => name.startsWith('libc.')))
})

test('readElf answers undefined for a script, an empty file and a 32-bit program', async () => {
  assert.equal(await readElf(await fileOf('script', '#!/bin/sh\necho hello\n')), undefined)
  assert.equal(await readElf(await fileOf('empty', '')), undefined)
  const narrow = Buffer.alloc(64)
  narrow.set([0x7f, 0x45, 0x4c, 0x46, 1, 1])
  assert.equal(await readElf(await fileOf('narrow', narrow)), undefined)
})

test('readElf refuses a file that ends inside its tables, by name', async () => {
  const whole = await readFile('/bin/ls')
  const path = await fileOf('short', whole.subarray(0, 100))
  await assert.rejects(readElf(path), (error: unknown) => {
    assert.ok(error instanceof DewarError)
    assert.match(error.message, /^cannot read ELF file .*short: it ends before byte/)
    return true
  })
})

test('readElf never throws anything but DewarError, whatever the bytes', async () => {
  const head = (await readFile('/bin/ls')).subarray(0, 4096)
  const change = fc.record({ at: fc.nat({ max: 1024 }), byte: fc.nat({ max: 255 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 12 }), async (changes) => {
      const bytes = Buffer.from(head)
      for (const { at, byte } of changes) bytes[at] = byte
      const path = await fileOf('hostile', bytes)
      await readElf(path).catch((error: unknown) => assert.ok(error instanceof DewarError, String(error)))
    }),
    { numRuns: 300 },
  )
})
