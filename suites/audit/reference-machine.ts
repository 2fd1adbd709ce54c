/** Another machine for the discoverer: this program in an emulated machine with a kernel of its own. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { section, type Kernel } from '../harness/emulated-machine.ts'
import { PROJECT } from '../harness/project.ts'
import { runMachine } from '../limits/virtual-machine.ts'

/** What `dewar audit reference` says there. */
export async function recordInMachine(kernel: Kernel): Promise<string> {
  const text = await runMachine(kernel, {
    append: '',
    memory: 1024,
    files: files(),
    script: [
      'export PATH=/usr/bin:/bin',
      'mkdir -p /var/tmp /root',
      'echo "== reference"',
      'node /app/bin/dewar audit reference 2>/complaint',
      'echo "== complaint"; cat /complaint',
    ].join('\n'),
  })
  const found = section(text, 'reference').trim()
  if (!found.startsWith('{')) throw new Error(`recording in the machine: ${text.slice(-3000)}`)
  return found
}

/** The command line, the program of the guest, Node and unshare with their libraries. */
function files(): Record<string, string> {
  const programs = [process.execPath, '/usr/bin/unshare'].map((path) => realpathSync(path))
  const libraries = new Set(programs.flatMap(librariesOf))
  const cli = join(PROJECT, 'dist', 'cli')
  return {
    '/usr/bin/node': programs[0] ?? '',
    '/usr/bin/unshare': programs[1] ?? '',
    ...Object.fromEntries([...libraries].map((path) => [path, path])),
    ...Object.fromEntries(readdirSync(cli).map((name) => [`/app/dist/cli/${name}`, join(cli, name)])),
    '/app/bin/dewar': join(PROJECT, 'bin', 'dewar'),
    '/app/package.json': join(PROJECT, 'package.json'),
    '/app/native/build/dewar-probe': join(PROJECT, 'native', 'build', 'dewar-probe'),
  }
}

function librariesOf(program: string): string[] {
  const text = execFileSync('ldd', [program], { encoding: 'utf8' })
  return [...text.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path)
}

export function thisKernel(): string {
  return readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()
}
