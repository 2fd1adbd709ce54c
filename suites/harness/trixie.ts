import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from './command.ts'
import { findProgram } from './requirement.ts'

const CACHE = process.env['DEWAR_TEST_CACHE'] ?? '/var/cache/dewar-tests'
/** They need no newer C library than Debian 12 has. runc does, so dockerd runs with the system's. */
const PACKAGES = ['docker.io', 'containerd', 'docker-compose', 'docker-buildx']

/** Programs of Debian 13, unpacked beside the system: what is installed stays as it is. */
export interface Trixie {
  /** To be put before PATH: dockerd 26, its containerd and docker-proxy. */
  readonly path: string
  /** docker compose v2, as a program of its own. */
  readonly compose: string
  /** docker buildx, the same. */
  readonly buildx: string
}

/** Downloads and unpacks them once per machine (60 MB, some ten seconds), or tells why that is not possible. */
export function trixie(): Promise<Trixie | string> {
  return (unpacked ??= unpack().catch((error: unknown) => `unpacking Debian 13's packages: ${String(error)}`))
}
let unpacked: Promise<Trixie | string> | undefined

async function unpack(): Promise<Trixie | string> {
  if (findProgram('apt-get') === undefined || findProgram('dpkg-deb') === undefined)
    return `needs ${PACKAGES.join(', ')} of Debian 13: no apt here to get them with`
  const folder = join(CACHE, `trixie-${PACKAGES.join('-')}`)
  if (!existsSync(folder)) {
    await mkdir(CACHE, { recursive: true })
    // Not in place: two suites may start at once, and one that is killed must leave nothing that looks whole.
    const work = await mkdtemp(join(CACHE, 'trixie-work-'))
    try {
      await download(work)
      for (const name of await readdir(work)) {
        if (name.endsWith('.deb'))
          await command(['dpkg-deb', '-x', join(work, name), join(work, 'root')], { check: true })
      }
      await rename(join(work, 'root'), folder).catch((error: unknown) => {
        if (!existsSync(folder)) throw error
      })
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
  return {
    path: `${join(folder, 'usr', 'sbin')}:${join(folder, 'usr', 'bin')}`,
    compose: join(folder, 'usr', 'libexec', 'docker', 'cli-plugins', 'docker-compose'),
    buildx: join(folder, 'usr', 'libexec', 'docker', 'cli-plugins', 'docker-buildx'),
  }
}

/** With lists and a status file of its own, so that the system's apt learns nothing of the other release. */
async function download(folder: string): Promise<void> {
  const targets = await command(
    ['apt-get', 'indextargets', '--format', '$(ORIGIN) $(REPO_URI)', 'Created-By: Packages'],
    { check: true },
  )
  const mirror = /^Debian (\S+)$/m.exec(targets.stdout)?.[1]
  if (mirror === undefined) throw new Error('no Debian mirror among the sources of apt')
  for (const path of ['lists/partial', 'cache/archives/partial', 'state', 'root'])
    await mkdir(join(folder, path), { recursive: true })
  await writeFile(join(folder, 'status'), '')
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
  await writeFile(join(folder, 'sources.list'), `deb [signed-by=${keyring}] ${mirror} trixie main\n`)
  const options = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State': join(folder, 'state'),
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
  }
  const apt = [
    'apt-get',
    '-q',
    ...Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]),
  ]
  await command([...apt, 'update'], { check: true, timeout: 120_000 })
  await command([...apt, 'download', ...PACKAGES], { check: true, timeout: 300_000, cwd: folder })
}
