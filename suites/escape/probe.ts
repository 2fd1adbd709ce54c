import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compileC } from '../harness/compile-c.ts'
import { busyboxTree } from '../harness/image-recipes.ts'
import type { ImageRecipe, Member } from '../harness/oci-layout.ts'
import type { Server } from '../harness/server.ts'

/** What a probe said: word → result. */
export type ProbeAnswer = ReadonlyMap<string, string>

export function parseAnswer(stdout: string): ProbeAnswer {
  const lines = stdout.trim().split('\n').filter(Boolean)
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1).trim()]),
  )
}

/** Runs the probe in a container of its own; throws with what was printed when it could not run. */
export async function probe(
  server: Server,
  flags: readonly string[],
  args: readonly string[],
): Promise<ProbeAnswer> {
  const argv = ['docker', 'run', '--rm', ...flags, 'probe', '/probe', ...args]
  const result = await server.run(argv, { check: true, timeout: 30_000 })
  return parseAnswer(result.stdout)
}

/** The image with the probe, and a copy of it that belongs to root and has the set-user-id bit. */
export async function probeImage(folder: string): Promise<ImageRecipe> {
  const content = await readFile(await compileC('escape/probe.c', join(folder, 'probe')))
  const members: Member[] = [
    { name: 'probe', content },
    { name: 'probe-suid', content, mode: 0o4755 },
  ]
  return {
    name: 'probe:latest',
    layers: [{ members: busyboxTree() }, { members }],
    config: { Env: ['PATH=/bin'], Cmd: ['sh'] },
  }
}
