/** Ending what a killed shim left: its container's processes, cgroups, interfaces, published ports. */
import { readFile } from 'node:fs/promises'
import { errnoOf } from '../base/errors.ts'
import type { Bundle, Level } from '../isolation/level.ts'
import { pidsIn, removeTree } from '../kernel/cgroup-live.ts'
import type { CgroupLayout } from '../kernel/cgroup.ts'
import type { Services } from './services.ts'

/** Forking faster than this many rounds of killing means the pids limit is off and the machine has other problems. */
const ROUNDS = 100

/** `pid`: the first process, when known; with it all of an own PID namespace end. */
export async function killLeftovers(
  services: Services,
  level: Level,
  bundle: Bundle,
  pid: number | undefined,
): Promise<void> {
  const path = bundle.spec.linux.cgroupsPath
  if (pid !== undefined && (await isIn(pid, path))) kill(pid)
  await isEnded(services.cgroups, path)
  await removeTree(services.cgroups, path).catch(() => undefined)
  await services.core.run(level.release(bundle))
}

/** Kills all of a group until nobody is left; false when somebody cannot be killed. */
export async function isEnded(cgroups: CgroupLayout, path: string): Promise<boolean> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const pids = (await pidsIn(cgroups, path)).filter((pid) => pid > 1)
    if (pids.length === 0) return true
    for (const pid of pids) kill(pid)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return false
}

/** A pid may be somebody else's by now: only one in the container's own group is ended. */
async function isIn(pid: number, path: string): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
  return text.split('\n').some((line) => line.endsWith(path))
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}
