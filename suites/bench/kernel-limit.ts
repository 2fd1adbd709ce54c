import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../harness/command.ts'
import type { Programs } from './programs.ts'
import { numbersOf } from './run-repeat.ts'

/** Milliseconds of `count` containers made by bare C. */
export async function kernelLimit(programs: Programs, count: number): Promise<number[]> {
  const scratch = join(programs.bundle, '..', 'scratch')
  await mkdir(scratch)
  const { stdout } = await command([programs.limit, programs.rootfs, scratch, String(count)], {
    check: true,
    timeout: 120_000,
  })
  await rm(scratch, { recursive: true })
  return numbersOf(stdout)
}
