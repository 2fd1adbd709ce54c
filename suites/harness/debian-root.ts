import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from './command.ts'
import { CACHE, complaintOf } from './debian-packages.ts'
import { missing } from './requirement.ts'

/** A root file system of Debian 12 with these packages as an archive, made once per machine; or why it cannot be. */
export async function debianRoot(packages: readonly string[]): Promise<{ readonly tar: string } | string> {
  const tar = join(CACHE, `debian-${packages.join('-')}.tar`)
  if (existsSync(tar)) return { tar }
  const absent = missing('mmdebstrap')
  if (absent !== false) return absent
  await mkdir(CACHE, { recursive: true })
  // Not in place: one that is killed must leave nothing that looks whole.
  const fresh = `${tar}.${process.pid}`
  try {
    const options = ['--quiet', '--variant=minbase', `--include=${packages.join(',')}`, '--format=tar']
    await command(['mmdebstrap', ...options, 'bookworm', fresh], { timeout: 900_000, check: true })
    await rename(fresh, tar)
    return { tar }
  } catch (error) {
    return `making a Debian with ${packages.join(', ')}: ${complaintOf(error)}`
  } finally {
    await rm(fresh, { force: true })
  }
}
