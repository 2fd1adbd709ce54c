import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The clone's top folder, found from wherever this file was compiled to. */
export const PROJECT = findProject(dirname(fileURLToPath(import.meta.url)))

function findProject(folder: string): string {
  if (existsSync(join(folder, 'package-lock.json'))) return folder
  const up = dirname(folder)
  if (up === folder) throw new Error('finding the project: no package-lock.json above this file')
  return findProject(up)
}

export const DEWAR = join(PROJECT, 'bin', 'dewar')
/** The engine that was compiled together with this file. */
export const ENGINE_MAIN = fileURLToPath(new URL('../../src/daemon/main.js', import.meta.url))
