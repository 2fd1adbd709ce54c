// `npm run format`: writes every file the way `npm run check` wants it.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const c = readdirSync(join(root, 'native'))
  .filter((name) => /\.[ch]$/.test(name))
  .map((name) => join('native', name))

// Twice: oxfmt 0.74 reaches its own fixed point for long method signatures in the second pass only.
for (let pass = 0; pass < 2; pass++) {
  run(join(root, 'node_modules', '.bin', 'oxfmt'), [
    'src',
    'suites',
    'scripts',
    'native',
    'package.json',
    'tsconfig.json',
  ])
}
run('clang-format', ['-i', ...c])

function run(program, args) {
  const { error, status } = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  if (error) console.error(`cannot run ${program}: ${error.message}`)
  if (error || status !== 0) process.exitCode = 1
}
