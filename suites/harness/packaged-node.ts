import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from './command.ts'
import { CACHE } from './debian-packages.ts'

/** The path of another Node, from npm's registry (some 20 to 40 MB, once per machine); undefined where that does not answer. */
export async function packagedNode(
  version: string,
  arch: string = process.arch,
): Promise<string | undefined> {
  const name = `node-linux-${arch}`
  const folder = join(CACHE, `${name}-${version}`)
  if (!existsSync(folder)) {
    await mkdir(CACHE, { recursive: true })
    const work = await mkdtemp(join(CACHE, 'node-work-'))
    try {
      const packed = await command(['npm', 'pack', '--silent', '--fetch-retries=0', `${name}@${version}`], {
        cwd: work,
        timeout: 300_000,
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
