/**
 * What the kernel and the core take for a container of ours when nobody plans, records or answers requests: the plan that
 * `dewar plan` shows, encoded once, sent by a small C program. An engine that did nothing itself would still take it.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { planFor } from '../../src/daemon/plan.ts'
import { readHostFacts } from '../../src/engine/host-facts.ts'
import { partsOf } from '../../src/kernel/begun.ts'
import { holdsCapability } from '../../src/kernel/capabilities.ts'
import { readCgroups } from '../../src/kernel/cgroup.ts'
import { startCore } from '../../src/kernel/core.ts'
import { frame } from '../../src/kernel/frames.ts'
import type { Plan } from '../../src/kernel/plan.ts'
import { machineArch } from '../../src/kernel/seccomp.ts'
import { shimStep } from '../../src/kernel/shim.ts'
import { command } from '../harness/command.ts'
import { removeParentGroups } from '../harness/parent-groups.ts'
import type { Programs } from './programs.ts'
import { numbersOf } from './run-repeat.ts'

export interface PlanTimes {
  /** ms of each. */
  readonly oneByOne: readonly number[]
  /** ms of all, divided by their number; a value per round. */
  readonly atOnce: readonly number[]
}

/** Containers one right after the other, in folders by turns, then one in each folder at once. */
export async function planAlone(
  programs: Programs,
  runs: number,
  { atOnce, rounds }: { readonly atOnce: number; readonly rounds: number },
): Promise<PlanTimes> {
  const root = join(programs.bundle, '..', 'plans')
  const group = `/dwt-plan-${process.pid}`
  await mkdir(join(root, 'layers'), { recursive: true })
  await command(['cp', '-a', programs.rootfs, join(root, 'layers/LAYER-0')], { check: true })
  await using core = await startCore({ runDir: root })
  try {
    const shims: string[] = []
    for (let n = 0; n < atOnce; n++) {
      const places = { id: n.toString(16).padStart(12, '0').padEnd(64, '0'), root, run: root, group }
      const { steps } = await planOf(places)
      // The engine makes the folders above the containers' groups once.
      const isShared = (step: Plan['steps'][number]) =>
        step.actor === 'host' && 'path' in step && step.path.includes(group) && !step.path.includes(places.id)
      if (n === 0) await core.run({ steps: steps.filter(isShared) })
      shims.push(await prepare(places, { steps: steps.filter((step) => !isShared(step)) }))
    }
    const lead = async (count: number): Promise<number[]> => {
      const argv = [programs.carryOut, join(root, 'spawner.sock'), String(count), ...shims]
      return numbersOf((await command(argv, { check: true, timeout: 300_000 })).stdout)
    }
    const oneByOne = (await lead(runs + 3)).slice(3)
    const together: number[] = []
    while (together.length < rounds) together.push(...(await lead(0)))
    return { oneByOne, atOnce: together }
  } finally {
    await removeParentGroups(group)
  }
}

type Places = NonNullable<Parameters<typeof planFor>[3]>

async function planOf(places: Places): Promise<Plan> {
  const arch = machineArch(process.arch)
  if (arch === undefined) throw new Error(`planning: no system call tables for ${process.arch}`)
  const machine = {
    arch,
    kernel: release(),
    layout: await readCgroups(),
    overlayByFd: true,
    kcore: existsSync('/proc/kcore'),
    raisesLimits: await holdsCapability('CAP_SYS_RESOURCE'),
  }
  const body = { Image: 'busybox', Cmd: ['/bin/true'], HostConfig: { NetworkMode: 'none' } }
  return planFor({ body, image: { layers: 1 } }, machine, await readHostFacts(), places)
}

/** Makes the container's folders and the shim's, and writes what an engine would send beside the latter, which is returned. */
async function prepare({ id, root, run }: Places, plan: Plan): Promise<string> {
  const container = join(root, 'containers', id)
  for (const name of ['upper', 'work']) await mkdir(join(container, name), { recursive: true })
  for (const name of ['hosts', 'hostname', 'resolv.conf']) await writeFile(join(container, name), '\n')
  const runDir = join(run, id.slice(0, 12))
  await mkdir(runDir)
  const log = { path: join(container, 'log'), maxSize: 0, maxFiles: 1 }
  const options = { runDir, tty: false, stdin: false, stdinOnce: false, expectAttach: 0, log }
  const { encodeFirst, encodeRest } = partsOf(plan, shimStep(options, options))
  const parts = [encodeFirst() ?? Buffer.alloc(0), encodeRest()]
  await writeFile(`${runDir}.plan`, Buffer.concat(parts.map((part) => frame('P', part))))
  return runDir
}
