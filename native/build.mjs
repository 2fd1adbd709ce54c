// Builds native/build/dewar-core, and native/build/dewar-probe, which the audit runs inside containers: static, by
// musl-gcc where it is there, else by cc -static.
// `node native/build.mjs asan` builds native/build/dewar-core-asan instead (AddressSanitizer and UBSan), and
// `node native/build.mjs arm64` the two with -arm64 behind their names, by Debian's cross compiler.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const out = join(here, 'build')
mkdirSync(out, { recursive: true })
const sourcesIn = (folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.c'))
    .map((name) => join(folder, name))
const warnings = ['-std=gnu11', '-Wall', '-Wextra', '-Werror']
const asan = process.argv[2] === 'asan'
const cross = process.argv[2] === 'arm64' ? '-arm64' : ''

function compile(compiler, flags, target, sources) {
  const temporary = `${target}.${process.pid}`
  const result = spawnSync(compiler, [...warnings, ...flags, '-o', temporary, ...sources], {
    encoding: 'utf8',
  })
  if (result.error) return `${compiler} is not installed`
  if (result.status !== 0) return result.stderr
  renameSync(temporary, target)
  return undefined
}

const multiarch = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch] ?? 'x86_64-linux-gnu'
// musl-gcc does not see the kernel's headers by itself.
const kernelHeaders = ['-idirafter', '/usr/include', '-idirafter', `/usr/include/${multiarch}`]
const core = { name: 'dewar-core', sources: sourcesIn(here) }
const probe = { name: 'dewar-probe', sources: sourcesIn(join(here, 'probe')) }
const programs = asan ? [{ ...core, name: 'dewar-core-asan' }] : [core, probe]
const compilers = asan
  ? [['cc', ['-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined']]]
  : cross !== ''
    ? [['aarch64-linux-gnu-gcc', ['-O2', '-static', '-s']]]
    : [
        ['musl-gcc', ['-O2', '-static', '-s', ...kernelHeaders]],
        ['cc', ['-O2', '-static', '-s']],
      ]

for (const { name, sources } of programs) {
  const problems = []
  const built = compilers.some(([compiler, flags]) => {
    const problem = compile(compiler, flags, join(out, name + cross), sources)
    if (problem !== undefined) problems.push(problem)
    return problem === undefined
  })
  if (built) continue
  console.error(
    `Building ${name} failed (install a C compiler: apt-get install gcc libc6-dev)\n${problems.join('\n')}`,
  )
  process.exit(1)
}
