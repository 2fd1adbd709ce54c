import { join } from 'node:path'
import { command } from './command.ts'
import { PROJECT } from './project.ts'
import { findProgram } from './requirement.ts'

const LINUX_HEADERS = `/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`

/** Compiles a C file of the suites to a static program that runs in any root filesystem. */
export async function compileC(source: string, out: string): Promise<string> {
  const musl = findProgram('musl-gcc') !== undefined
  // musl's own headers first; the kernel's (linux/*.h) are the system's.
  const headers = musl ? ['-idirafter', '/usr/include', '-idirafter', LINUX_HEADERS] : []
  const flags = ['-static', '-O2', '-Wall', '-Wextra', '-Werror']
  const file = join(PROJECT, 'suites', source)
  await command([musl ? 'musl-gcc' : 'cc', ...flags, ...headers, '-o', out, file], { check: true })
  return out
}
