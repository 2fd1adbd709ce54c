/**
 * Carries out the host's steps of a cgroup plan for tests, as the native core would, and runs programs in the
 * groups.
 */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess, SpawnSyncReturns } from 'node:child_process'
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { errnoOf } from '../../src/base/errors.ts'
import { removeTree } from '../../src/kernel/cgroup.ts'
import type { CgroupLayout, CgroupPlan } from '../../src/kernel/cgroup.ts'
import type { Step } from '../../src/kernel/plan.ts'

const notIf = (code: string, action: () => void): void => {
  try {
    action()
  } catch (error) {
    if (errnoOf(error) !== code) throw error
  }
}

export function carryOut(steps: readonly Step[]): void {
  for (const step of steps) {
    if (step.op === 'mkdir') notIf('EEXIST', () => mkdirSync(step.path, step.mode))
    else if (step.op === 'rmdir') notIf('ENOENT', () => rmdirSync(step.path))
    else if (step.op === 'write') {
      try {
        writeFileSync(step.path, step.data, { flag: 'r+' })
      } catch (error) {
        if (step.optional !== true) throw error
      }
    } else if (step.op !== 'open') throw new Error(`the test executor has no ${step.op}`)
  }
}

/** Files the child writes "0" to: what the plan opens for it, or the group it would be born in. */
export const joinFiles = (plan: CgroupPlan): string[] =>
  plan.host.flatMap((step) =>
    step.op !== 'open' ? [] : [step.flags === 1 ? step.path : `${step.path}/cgroup.procs`],
  )

/** Runs `eat` in the plan's groups to its end. */
export const eat = (
  program: string,
  plan: CgroupPlan,
  ...args: readonly string[]
): SpawnSyncReturns<string> =>
  spawnSync(program, [...joinFiles(plan), '--', ...args], {
    encoding: 'utf8',
    timeout: 20_000,
    killSignal: 'SIGKILL',
  })

/** Starts `eat … wait` and resolves when it is in its groups. Ends with the scope. */
export async function waiting(program: string, plan: CgroupPlan): Promise<ChildProcess & AsyncDisposable> {
  const child = spawn(program, [...joinFiles(plan), '--', 'wait'], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve)
    child.once('exit', (code) => reject(new Error(`it ended with ${code}`)))
  })
  return Object.assign(child, {
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    },
  })
}

/** Makes a plan's groups and takes them and their parents away at the end of the scope. */
export function madeGroups(layout: CgroupLayout, path: string, plan: CgroupPlan): AsyncDisposable {
  carryOut(plan.host.filter((step) => step.op !== 'device-program'))
  return { [Symbol.asyncDispose]: () => removeTree(layout, `/${path.split('/')[1]}`) }
}
