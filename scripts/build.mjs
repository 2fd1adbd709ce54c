// Builds everything `bin/dewar` needs: the native core, the compiled TypeScript, the bundled CLI.
// Run by `npm ci` (prepare). Needs Node and a C compiler, nothing else.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const bin = (name) => join(root, 'node_modules', '.bin', name)

/** What fails has said why itself: a trace of this script would only push it out of sight. */
function run(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  if (status === 0) return
  if (error)
    console.error(`Building failed: ${error.message} (run npm ci, which installs what the build needs)`)
  process.exit(1)
}

mkdirSync(join(root, 'dist'), { recursive: true })
run(process.execPath, [join(root, 'native', 'build.mjs')])
run(bin('tsc'), ['-p', '.', '--outDir', 'dist'])
rmSync(join(root, 'dist/cli'), { recursive: true, force: true })
if (existsSync(join(root, 'src/cli/main.ts'))) {
  // One file starts in about the time of bare Node (67 ms); sixty modules took 122 ms.
  run(bin('esbuild'), [
    'src/cli/main.ts',
    '--bundle',
    '--minify', // parsing is most of a short command's time: ps took 170 ms of CPU without, 120 ms with
    '--platform=node',
    '--target=node20',
    '--format=esm',
    '--splitting',
    '--outdir=dist/cli',
    '--log-level=warning',
    "--banner:js=import { createRequire as __cr } from 'node:module'; const require = __cr(import.meta.url);",
  ])
}
