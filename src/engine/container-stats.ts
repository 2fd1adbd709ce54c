/** `stats` of one container: its control group's counters and its interfaces'. */
import { readFile } from 'node:fs/promises'
import { errnoOf } from '../base/errors.ts'
import { readStats } from '../kernel/cgroup-stats.ts'
import { HasEnded } from '../kernel/shim-control.ts'
import { parseInterfaceStats } from '../network/interface-stats.ts'
import type { Container } from './container.ts'
import { cgroupsPath } from './launch.ts'
import type { Services } from './services.ts'
import type { Stats } from './types.ts'

/** All zero for a container that does not run, as with dockerd. */
export async function containerStats(services: Services, container: Container): Promise<Stats> {
  const running = container.running
  const read = Date.now()
  if (running === undefined) return { read, ...NOTHING }
  const host = container.record.hostConfig.networkMode === 'host'
  const networks = host ? {} : await running.shim.whilePid(interfaces).catch(noneOfEnded)
  return { read, ...(await readStats(services.cgroups, cgroupsPath(services, container.record))), networks }
}

async function interfaces(pid: number): Promise<Stats['networks']> {
  try {
    return parseInterfaceStats(await readFile(`/proc/${pid}/net/dev`, 'utf8'))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH' || errnoOf(error) === 'EINVAL') return {}
    throw error
  }
}

function noneOfEnded(error: unknown): Stats['networks'] {
  if (error instanceof HasEnded) return {}
  throw error
}

const NOTHING: Omit<Stats, 'read'> = {
  pids: { current: 0, limit: null },
  cpu: {
    total: 0,
    user: 0,
    kernel: 0,
    perCpu: null,
    system: 0,
    online: 0,
    throttling: { periods: 0, throttled: 0, time: 0 },
  },
  memory: { usage: 0, max: null, limit: 0, stats: {}, failcnt: null },
  blkio: [],
  blkioRequests: [],
  networks: {},
}
