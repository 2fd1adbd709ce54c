/** Whether a process still has namespaces, which it loses some time before it is waited for. */
import { readdirSync, readlinkSync } from 'node:fs'
import { errnoOf } from './errors.ts'

/**
 * A zombie has none. A process whose first thread alone has ended, by pthread_exit(3), looks like one under /proc/PID,
 * and goes on: its other threads have them.
 */
export function hasNamespaces(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).some((thread) => isThere(`/proc/${pid}/task/${thread}/ns/mnt`))
  } catch (error) {
    return !isAbsence(error)
  }
}

function isThere(path: string): boolean {
  try {
    readlinkSync(path)
    return true
  } catch (error) {
    // One that may not be looked at is there.
    return !isAbsence(error)
  }
}

const isAbsence = (error: unknown): boolean => ['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')
