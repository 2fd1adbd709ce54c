import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Failure } from './failure.ts'

/** The folder of this package: where bin/, dist/ and package.json are, however this file was bundled. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder)
    if (parent === folder)
      throw new Failure(
        'finding the package failed: no package.json above the program (reinstall dewar)',
        125,
      )
    folder = parent
  }
  return folder
}

export function packageVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'))
  if (typeof parsed !== 'object' || parsed === null || !('version' in parsed)) return 'unknown'
  return typeof parsed.version === 'string' ? parsed.version : 'unknown'
}

/** The engine's program. It is never imported: the client may not depend on the engine. */
export function daemonProgram(): string {
  const path = join(packageRoot(), 'dist/src/daemon/main.js')
  if (!existsSync(path))
    throw new Failure(`starting the engine failed: ${path} is not there (run \`npm run build\`)`, 125)
  return path
}
