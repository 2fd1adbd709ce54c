/** Whether a process still has namespaces, which it loses some time before it is waited for. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { errnoOf } from './errors.ts'

/**
 * A zombie has none. A process whose first thread alone has ended, by pthread_exit(3), looks like one under /proc/PID,
 * and goes on: its other threads have them. When all end, each gives them up by itself: one that is about to has none.
 */
export function hasNamespaces(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).some((thread) => goesOn(`/proc/${pid}/task/${thread}`))
  } catch (error) {
    return !isAbsence(error)
  }
}

/** PF_EXITING of include/linux/sched.h, among the flags of proc_pid_stat(5). */
const EXITING = 4
/** SIGKILL's bit, pending of each thread when all are to end: who is frozen cannot act on it. */
const KILLED = 1n << 8n

function goesOn(thread: string): boolean {
  try {
    readlinkSync(`${thread}/ns/mnt`)
    const [, flags = '0'] = /\) \S(?: \S+){5} (\d+)/.exec(readFileSync(`${thread}/stat`, 'utf8')) ?? []
    const [, pending = '0'] = /^SigPnd:\s+(\S+)/m.exec(readFileSync(`${thread}/status`, 'utf8')) ?? []
    return (Number(flags) & EXITING) === 0 && (BigInt(`0x${pending}`) & KILLED) === 0n
  } catch (error) {
    // One that may not be looked at is there.
    return !isAbsence(error)
  }
}

const isAbsence = (error: unknown): boolean => ['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')
