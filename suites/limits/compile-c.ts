/** Compiles a test program of this folder to a static one. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** The folder of the sources, found from wherever the compiled tests lie. */
export const SOURCES = join(process.cwd(), 'suites/limits')

/** Path of the program in `folder`. musl-gcc where it is, because it starts in 0.2 ms; else cc. */
export function compileC(name: string, folder: string): string {
  const out = join(folder, name)
  const musl = existsSync('/usr/bin/musl-gcc')
  const headers = musl ? ['-idirafter', '/usr/include', '-idirafter', '/usr/include/x86_64-linux-gnu'] : []
  const flags = ['-O1', '-Wall', '-Wextra', '-Werror', '-static', '-no-pie', '-fno-pie']
  execFileSync(musl ? 'musl-gcc' : 'cc', [...flags, ...headers, '-o', out, join(SOURCES, `${name}.c`)], {
    stdio: 'inherit',
  })
  return out
}
