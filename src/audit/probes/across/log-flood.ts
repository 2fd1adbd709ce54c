/** What a container prints, as work and disk of the host. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makeCanary } from '../../canary.ts'
import { charged, groupsOf } from '../../control-group.ts'
import type { Call, Guest } from '../../guest-types.ts'
import { searchContents } from '../../observers/find.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Subject } from '../../target.ts'
import type { Control, Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import { across } from './neighbours.ts'

const MIB = 2 ** 20
const PIECE = 2 ** 16
/** Of the work inside. */
const MOST_WORK = 0.1
const MOST_MEMORY = 64 * MIB

/** Lines of the container's own output: its first process's, which every other inside may open again. */
async function print(guest: Guest, bytes: number): Promise<number> {
  const line = `${randomBytes(63)
    .toString('latin1')
    .replaceAll(/[^a-z]/g, 'x')}\n`
  const piece = Buffer.from(line.repeat(PIECE / 64))
  const calls: readonly Call[] = [
    { name: 'openat', args: [-100, { in: '/proc/1/fd/1\0' }, 1], ends: true },
    { name: 'write', args: [{ result: 0 }, { in: piece }, PIECE], ends: true },
    { name: 'close', args: [{ result: 0 }] },
  ]
  const { rounds, answers } = await guest.repeat(calls, { times: bytes / PIECE, milliseconds: 6000 })
  const last = answers[0]?.find(({ error }) => error !== '' && error !== 'TIMEOUT' && error !== 'NOT-MADE')
  if (last !== undefined) throw new Error(`printing inside failed: ${last.error}`)
  return rounds * PIECE
}

interface Costs {
  /** ns of processes that the container's group is not charged for. */
  readonly outside: number
  readonly inside: number
  /** Bytes. */
  readonly memory: number
  readonly disk: number
}

/** The engine, and helpers of the container that are in another group. */
async function payers({ target }: ProbeContext, subject: Subject): Promise<readonly number[]> {
  const own = groupsOf(subject.pid)
  const helpers = (await subject.pids()).filter((pid) => groupsOf(pid) !== own)
  return [...new Set([...(await target.enginePids()), ...helpers])]
}

async function costsOf(subject: Subject, pids: readonly number[], log: string | undefined): Promise<Costs> {
  const sum = (of: (pid: number) => number): number => pids.reduce((total, pid) => total + of(pid), 0)
  return {
    outside: sum(workOf),
    inside: charged(subject.pid),
    memory: sum(memoryOf),
    disk: log === undefined ? 0 : await sizeBeside(log),
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** utime and stime are in hundredths of a second. */
function workOf(pid: number): number {
  const text = textOf(`/proc/${pid}/stat`)
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1e7
}

function memoryOf(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? 0)
}

/** With those it was turned over to. */
async function sizeBeside(log: string): Promise<number> {
  const names = await readdir(dirname(log)).catch(() => [])
  const sizes = names.map((name) =>
    stat(join(dirname(log), name)).then(
      (one) => (one.isFile() ? one.size : 0),
      () => 0,
    ),
  )
  return (await Promise.all(sizes)).reduce((total, size) => total + size, 0)
}

interface Flood {
  readonly printed: number
  readonly before: Costs
  readonly after: Costs
  readonly log: string | undefined
}

async function flood(context: ProbeContext, tty: boolean, bytes: number): Promise<Flood> {
  const marker = makeCanary('log')
  const words = [Buffer.from(marker.text).toString('hex')]
  const subject = await context.create({ words, body: { Tty: tty } })
  const guest = await context.guest(subject)
  const folders = await context.target.folders()
  const { hits } = await searchContents(folders, [marker], context.signal)
  const log = hits[0]?.path
  const pids = await payers(context, subject)
  const before = await costsOf(subject, pids, log)
  const printed = await print(guest, bytes)
  await logged(log, before.disk + printed, context.signal)
  return { printed, before, after: await costsOf(subject, pids, log), log }
}

/** Looks at the log in which nothing more came, after which the engine is taken to be done. */
const STILL = 12
const MOST_LOOKS = 80

/** The engine writes what is still under way: until all of it is there, or nothing comes any more. */
async function logged(log: string | undefined, all: number, signal: AbortSignal): Promise<void> {
  const still = log === undefined ? 1 : STILL
  for (let looks = 0, same = 0, size = 0; looks < MOST_LOOKS && same < still; looks += 1) {
    signal.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, 250))
    const now = log === undefined ? 0 : await sizeBeside(log)
    if (now >= all) return
    same = now === size ? same + 1 : 0
    size = now
  }
}

function evidenceOf({ printed, before, after }: Flood, what: string): readonly Evidence[] {
  const seen: Evidence[] = []
  const tell = (text: string): void => void seen.push({ kind: 'measurement', text: `${what}: ${text}` })
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`
  const [disk, memory] = [after.disk - before.disk, after.memory - before.memory]
  const [outside, inside] = [after.outside - before.outside, after.inside - before.inside]
  if (disk > printed * 0.9)
    tell(`${mib(printed)} were printed, and its log grew by ${mib(disk)}: nothing bounds it`)
  if (memory > MOST_MEMORY) tell(`the engine's memory grew by ${mib(memory)}`)
  // A tick is what can be told apart.
  if (outside > inside * MOST_WORK && outside > 3e7)
    tell(
      `${outside / 1e6} ms of the engine's work, which no group pays for, to ${Math.round(inside / 1e6)} inside`,
    )
  return seen
}

export const logFlood: Probe = {
  ...across,
  id: 'A19',
  slug: 'across.log.flood',
  asset: 'resources',
  question: 'Does what a container prints cost the host disk or work without bounds?',
  method:
    'A container prints 24 MiB on a pipe and 2 MiB on a terminal (200 and 20 with --load); what its log grows by, and what the engine and its helpers work outside the container’s group, is compared with that.',
  references: ['Houdini 4', 'CWE-770'],
  remedy:
    'Bound logs (--log-opt max-size=10m --log-opt max-file=3, or the driver local or none), and give containers --cpus.',
  interference: 'bounded',
  timeout: 60_000,
  async run(context) {
    if (context.target.client === undefined) return absent('a bare runtime keeps no log: its caller does')
    const times = context.load ? 8 : 1
    const pipe = await flood(context, false, 24 * MIB * times)
    const terminal = await flood(context, true, 2 * MIB * times)
    const controls: Control[] = [
      {
        what: `the container printed (${pipe.printed} and ${terminal.printed} bytes)`,
        held: terminal.printed > 0 && pipe.printed > 4 * MIB,
      },
      { what: 'the log is found, or is none', held: pipe.log === undefined || pipe.after.disk > 0 },
      { what: 'its own work is counted', held: pipe.after.inside > pipe.before.inside },
    ]
    return conclude({
      seen: [...evidenceOf(pipe, 'pipe'), ...evidenceOf(terminal, 'terminal')],
      controls,
      leak: 'What a container prints costs the host without bounds, and others pay for it.',
      contained: 'Its log is bounded, and the work for it is small or charged.',
    })
  },
}
