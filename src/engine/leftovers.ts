/** Ending what a killed shim left: its container's processes, cgroups, interfaces, published ports. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { groupFolder, type CgroupLayout } from '../kernel/cgroup.ts'
import type { Bundle, Level } from '../isolation/level.ts'
import { errnoOf } from '../base/errors.ts'
import type { Services } from './services.ts'

/** Forking faster than this many rounds of killing means the pids limit is off and the machine has other problems. */
const ROUNDS = 50

/** `pid`: the first process, when known; with it all of an own PID namespace end. */
export async function killLeftovers(services: Services, level: Level, bundle: Bundle, pid: number | undefined): Promise<void> {
  const path = bundle.spec.linux.cgroupsPath
  if (pid !== undefined && (await isIn(pid, path))) kill(pid)
  for (let round = 0; round < ROUNDS; round += 1) {
    const pids = await groupPids(services.cgroups, path)
    if (pids.length === 0) break
    for (const one of pids) kill(one)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await services.core.run(level.release(bundle))
}

/** A pid may be somebody else's by now: only one in the container's own group is ended. */
async function isIn(pid: number, path: string): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
  return text.split('\n').some((line) => line.endsWith(path))
}

async function groupPids(layout: CgroupLayout, path: string): Promise<number[]> {
  const folders = new Set(['memory', 'pids', 'freezer'].flatMap((name) => folderOf(layout, name, path)))
  const lists = await Promise.all([...folders].map((folder) => readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '')))
  const pids = lists.flatMap((text) => text.split('\n').filter((line) => line !== '').map(Number))
  return [...new Set(pids)].filter((pid) => pid > 1)
}

function folderOf(layout: CgroupLayout, controller: string, path: string): string[] {
  try {
    return [groupFolder(layout, controller, path)]
  } catch {
    return []
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}
