/** Stops a probe that makes load before the host suffers. */
import { readFileSync } from 'node:fs'

const EVERY_MS = 250
/** Of all memory. */
const LEAST_MEMORY = 0.08
/** Of the kernel's limit of processes. */
const MOST_PROCESSES = 0.8

export interface Watchdog extends AsyncDisposable {
  readonly signal: AbortSignal
}

export function watchHost(on: boolean): Watchdog {
  const controller = new AbortController()
  const timer = setInterval(() => {
    const problem = problemOf(readFileSync('/proc/meminfo', 'utf8'), readFileSync('/proc/loadavg', 'utf8'))
    if (problem !== undefined) controller.abort(new Error(problem))
  }, EVERY_MS)
  if (!on) clearInterval(timer)
  return {
    signal: controller.signal,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
    },
  }
}

/** Of /proc/meminfo and /proc/loadavg; undefined when all is well. */
export function problemOf(meminfo: string, loadavg: string, mostProcesses = pidMax()): string | undefined {
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(meminfo)?.[1])
  const free = field('MemAvailable') / field('MemTotal')
  if (free < LEAST_MEMORY) return `only ${Math.round(free * 100)} % of the host's memory is left`
  const processes = Number(loadavg.split(' ')[3]?.split('/')[1])
  if (processes > mostProcesses * MOST_PROCESSES) return `${processes} processes are near the host's limit`
  return undefined
}

function pidMax(): number {
  return Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8'))
}
