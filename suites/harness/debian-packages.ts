import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from './command.ts'
import { findProgram } from './requirement.ts'

export const CACHE = process.env['DEWAR_TEST_CACHE'] ?? '/var/cache/dewar-tests'

export interface Packages {
  readonly release: 'bookworm' | 'trixie'
  /** As Debian calls it. */
  readonly architecture: string
  readonly names: readonly string[]
  /** Of these, what they depend on and whose name begins with it: `linux-image-` of the package that names the newest kernel. */
  readonly following?: string
}

/**
 * A folder with the packages unpacked, once per machine, or why that is not possible. Beside the system: what is
 * installed stays as it is, and apt learns nothing of another release or architecture.
 */
export async function unpackedPackages(packages: Packages): Promise<{ readonly folder: string } | string> {
  const { release, architecture, names } = packages
  if (findProgram('apt-get') === undefined || findProgram('dpkg-deb') === undefined)
    return `needs ${names.join(', ')} of Debian (${release}): no apt here to get them with`
  const native = architecture === debianArchitecture() ? '' : `-${architecture}`
  const folder = join(CACHE, `${release}${native}-${names.join('-')}`)
  try {
    if (!existsSync(folder)) await unpackInto(folder, packages)
  } catch (error) {
    return `fetching ${names.join(', ')} of Debian (${release}): ${complaintOf(error)}`
  }
  return { folder }
}

/** A kernel for machines that the suites boot, beside the system: installing it would change what this machine boots. */
export function cloudKernel(): Promise<{ readonly folder: string } | string> {
  const names = ['linux-image-cloud-amd64']
  return unpackedPackages({ release: 'bookworm', architecture: 'amd64', names, following: 'linux-image-' })
}

/** Of what a program wrote, apt's own word, so that the reason of a skip is a line. */
export function complaintOf(error: unknown): string {
  const text = String(error)
  return /(?:^|stderr: )([EW]: .*)/m.exec(text)?.[1] ?? text.split('\n', 1)[0] ?? ''
}

export function debianArchitecture(): string {
  return process.arch === 'arm64' ? 'arm64' : 'amd64'
}

async function unpackInto(folder: string, packages: Packages): Promise<void> {
  await mkdir(CACHE, { recursive: true })
  // Not in place: two suites may start at once, and one that is killed must leave nothing that looks whole.
  const work = await mkdtemp(join(CACHE, `${packages.release}-work-`))
  try {
    await download(work, packages)
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

/** With lists and a status file of its own. */
async function download(
  folder: string,
  { release, architecture, names, following }: Packages,
): Promise<void> {
  for (const path of ['lists/partial', 'cache/archives/partial', 'state', 'root'])
    await mkdir(join(folder, path), { recursive: true })
  await writeFile(join(folder, 'status'), '')
  const mirror = await debianMirror(join(folder, 'lists'))
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
  await writeFile(join(folder, 'sources.list'), `deb [signed-by=${keyring}] ${mirror} ${release} main\n`)
  const settings = {
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
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
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  const get = ['apt-get', '-q', ...options]
  // Without this a mirror that cannot be reached is a warning, and then the packages are unknown.
  const strict = ['-o', 'APT::Update::Error-Mode=any']
  await command([...get, ...strict, 'update'], { check: true, timeout: 120_000 })
  const more = following === undefined ? [] : await dependencies(options, names, following)
  await command([...get, 'download', ...names, ...more], { check: true, timeout: 300_000, cwd: folder })
}

/** What this machine's sources say. Images of machines come without apt's lists, and without them apt knows no origin. */
export async function debianMirror(lists: string): Promise<string> {
  const seen = await originOf([])
  if (seen !== undefined) return seen
  const own = ['-o', `Dir::State::lists=${lists}`, '-o', 'APT::Sandbox::User=root']
  const { stderr } = await command(['apt-get', '-q', ...own, 'update'], { timeout: 300_000 })
  const mirror = await originOf(own)
  if (mirror === undefined) throw new Error(`no Debian mirror among the sources of apt\n${stderr}`)
  return mirror
}

async function originOf(options: readonly string[]): Promise<string | undefined> {
  const format = ['--format', '$(ORIGIN) $(REPO_URI)', 'Created-By: Packages']
  const { stdout } = await command(['apt-get', ...options, 'indextargets', ...format], { check: true })
  return /^Debian (\S+)$/m.exec(stdout)?.[1]
}

async function dependencies(
  options: readonly string[],
  names: readonly string[],
  prefix: string,
): Promise<string[]> {
  const listed = await command(['apt-cache', ...options, 'depends', ...names], { check: true })
  return [...listed.stdout.matchAll(/Depends: (\S+)/g)]
    .map((match) => match[1] ?? '')
    .filter((name) => name.startsWith(prefix))
}
