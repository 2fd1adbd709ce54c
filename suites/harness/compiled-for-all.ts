/** A C file of the suites as a program for all tests of a file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { compileC } from './compile-c.ts'

/** `skip`: why there is none. */
export function compiledForAll(source: string, skip: string | false): () => string {
  let folder = ''
  before(async () => {
    if (skip) return
    folder = mkdtempSync(join(tmpdir(), 'dwt-compiled-'))
    await compileC(source, join(folder, 'program'))
  })
  after(() => {
    if (folder !== '') rmSync(folder, { recursive: true })
  })
  return () => join(folder, 'program')
}
