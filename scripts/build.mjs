// Builds everything `bin/dewar` needs: the native core, the compiled TypeScript, the bundled CLI.
// Run by `npm ci` (prepare). Needs Node and a C compiler, nothing else.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const bin = (name) => join(root, 'node_modules', '.bin', name)
const run = (program, args) => execFileSync(program, args, { cwd: root, stdio: 'inherit' })

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
