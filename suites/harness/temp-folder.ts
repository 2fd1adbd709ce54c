import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { command } from './command.ts'

export interface TempFolder extends AsyncDisposable {
  readonly path: string
}

/** A new folder /tmp/dwt-NAME-XXXXXX, removed at the end of the scope with anything still mounted under it. */
export async function tempFolder(name: string): Promise<TempFolder> {
  const path = await mkdtemp(join(tmpdir(), `dwt-${name}-`))
  return {
    path,
    async [Symbol.asyncDispose]() {
      for (const point of (await mountsUnder(path)).reverse()) await command(['umount', '-l', point])
      await rm(path, { recursive: true, force: true })
    },
  }
}

/** Mount points at or below a folder, in the order they were mounted. */
export async function mountsUnder(folder: string): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  return table
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point === folder || point.startsWith(`${folder}/`))
}
