import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../harness/command.ts'
import type { Programs } from './programs.ts'
import { numbersOf } from './run-repeat.ts'

/** The time of this many at once, divided by their number. */
export async function kernelLimitAtOnce(programs: Programs, count: number): Promise<number> {
  return (await kernelLimit(programs, count, -1))[0] ?? Number.NaN
}

/** Milliseconds of `count` containers made by bare C, each `pause` ms after the one before. */
export async function kernelLimit(programs: Programs, count: number, pause = 0): Promise<number[]> {
  const scratch = join(programs.bundle, '..', 'scratch')
  await mkdir(scratch)
  const argv = [programs.limit, programs.rootfs, scratch, String(count), String(pause)]
  const { stdout } = await command(argv, {
    check: true,
    timeout: 120_000,
  })
  await rm(scratch, { recursive: true })
  return numbersOf(stdout)
}
