import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from './command.ts'

const CACHE = process.env['DEWAR_TEST_CACHE'] ?? '/var/cache/dewar-tests'
/** What Ubuntu 22.04 and Debian 11 call `nodejs`. */
const VERSION = '12.22.12'

/** The path of a Node that is too old for Dewar, from npm's registry (17 MB, once per machine); undefined where it answers not. */
export async function oldNode(): Promise<string | undefined> {
  const name = `node-linux-${process.arch}`
  const folder = join(CACHE, `${name}-${VERSION}`)
  if (!existsSync(folder)) {
    await mkdir(CACHE, { recursive: true })
    const work = await mkdtemp(join(CACHE, 'node-work-'))
    try {
      const packed = await command(['npm', 'pack', '--silent', '--fetch-retries=0', `${name}@${VERSION}`], {
        cwd: work,
        timeout: 120_000,
      })
      const [archive = ''] = await readdir(work)
      if (packed.code !== 0) return undefined
      await command(['tar', '-xf', archive], { cwd: work, check: true })
      await rename(join(work, 'package'), folder)
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
  return join(folder, 'bin', 'node')
}
