/**
 * The one workload of `dewar compare`, in parts: what each wall costs. The same program runs everywhere; it makes the
 * same system calls as often as it can for a moment. CPU is a program of the host, lent to the container, since ours has
 * no work of its own to do.
 */
import type { Call, Guest } from '../guest-types.ts'
import type { Subject } from '../target.ts'
import { spreadOf } from './spread.ts'

export interface Workload {
  readonly name: string
  readonly unit: 'ms' | 'µs'
  /** One line for the reader. */
  readonly about: string
  /** Less is better, always: time for one. Throws when it cannot be done there. */
  readonly measure: (place: Place) => Promise<number>
}

export interface Place {
  readonly subject: Subject
  readonly guest: Guest
}

/** How often each part is done for one measurement. */
const ROUNDS = 30
/** ms for one process inside. */
const PATIENCE = 10_000
const REPETITIONS = 16
const PORT = 47_113
/** bytes */
const MAPPED = 16 * 2 ** 20

/** Where the lent program stands inside. It does what its name says. */
export const LENT = '/busybox'
const COUNT = 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'

export const START: Pick<Workload, 'name' | 'unit' | 'about'> = {
  name: 'start',
  unit: 'ms',
  about: 'a container from nothing to running, and removed again',
}

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'exec',
    unit: 'ms',
    about: 'one more process inside, to its last word',
    measure: ({ subject }) => timed(() => toEnd(subject, ':')),
  },
  {
    name: 'CPU',
    unit: 'ms',
    about: 'a shell counts to 200,000, without its start',
    measure: async ({ subject }) => {
      const start = await timed(() => toEnd(subject, ':'))
      return Math.max(0.1, (await timed(() => toEnd(subject, COUNT))) - start)
    },
  },
  {
    name: 'system call',
    unit: 'µs',
    about: 'getppid: the way into the kernel that serves the container',
    measure: ({ guest }) => perOperation(guest, times(64, { name: 'getppid', args: [] }), 64),
  },
  {
    name: 'memory',
    unit: 'µs',
    about: '16 MiB taken, touched and given back',
    // PROT_READ|PROT_WRITE; MAP_PRIVATE|MAP_ANONYMOUS|MAP_POPULATE
    measure: ({ guest }) =>
      perOperation(
        guest,
        [
          { name: 'mmap', args: [0, MAPPED, 3, 0x8022, -1, 0], ends: true },
          { name: 'munmap', args: [{ result: 0 }, MAPPED], ends: true },
        ],
        1,
      ),
  },
  {
    name: 'file',
    unit: 'µs',
    about: 'a file of 4 KiB made in the writable layer, written and deleted',
    measure: ({ guest }) => perOperation(guest, fileCalls(), 1),
  },
  {
    name: 'network',
    unit: 'µs',
    about: "a datagram of 1 KiB through the container's own loopback",
    measure: ({ guest }) => perOperation(guest, datagramCalls(), REPETITIONS),
  },
]

function times(count: number, call: Call): Call[] {
  return Array.from({ length: count }, () => call)
}

function fileCalls(): Call[] {
  const path = { in: '/audit-work/compare\0' }
  return [
    // AT_FDCWD; O_CREAT|O_WRONLY|O_TRUNC
    { name: 'openat', args: [-100, path, 0o1101, 0o600], ends: true },
    { name: 'write', args: [{ result: 0 }, { in: Buffer.alloc(4096, 'x') }, 4096], ends: true },
    { name: 'close', args: [{ result: 0 }] },
    { name: 'unlinkat', args: [-100, path, 0], ends: true },
  ]
}

/** A socket that is connected to itself. */
function datagramCalls(): Call[] {
  const address = Buffer.from([2, 0, PORT >> 8, PORT & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
  const turn: Call[] = [
    { name: 'write', args: [{ result: 0 }, { in: Buffer.alloc(1024, 'x') }, 1024], ends: true },
    { name: 'read', args: [{ result: 0 }, { out: 1024 }, 1024], ends: true },
  ]
  return [
    { name: 'socket', args: [2, 2, 0], ends: true },
    { name: 'bind', args: [{ result: 0 }, { in: address }, 16], ends: true },
    { name: 'connect', args: [{ result: 0 }, { in: address }, 16], ends: true },
    ...Array.from({ length: REPETITIONS }, () => turn).flat(),
    { name: 'close', args: [{ result: 0 }] },
  ]
}

/** µs for one of the operations in the calls: the median of the rounds, by the clock inside. */
async function perOperation(guest: Guest, calls: readonly Call[], operations: number): Promise<number> {
  const { nanoseconds, answers } = await guest.repeat(calls, { times: ROUNDS, keep: 'all' })
  const bad = answers.flat().find(({ errno }) => errno !== 0)
  if (bad !== undefined) throw new Error(`it is refused there: ${bad.error}`)
  const middle = spreadOf(nanoseconds.map(Number))?.median
  if (middle === undefined) throw new Error('nothing was done in the time it had')
  return middle / 1000 / operations
}

/**
 * Until its last word, not until its streams end: how an engine ends streams is not what is measured.
 */
async function toEnd(subject: Subject, script: string): Promise<void> {
  await using process = await subject.exec({ argv: [LENT, 'sh', '-c', `${script}; echo end`] })
  const word = new Promise<void>((resolve) => process.stdout.once('data', () => resolve()))
  const late = AbortSignal.timeout(PATIENCE)
  const over = new Promise<void>((resolve) => late.addEventListener('abort', () => resolve(), { once: true }))
  await Promise.race([word, process.ended, over])
  if (late.aborted) throw new Error(`it was not done within ${PATIENCE / 1000} s`)
  const complaint = process.complaint().trim()
  if (complaint !== '') throw new Error(complaint.slice(0, 200))
}

/** ms by the host's clock: a guest's own may not be trusted (a virtual machine's runs by what the host gives it). */
export async function timed(work: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}
