/** A whole audit: clean after dead runs, open the targets, judge them one after the other, clean up, report. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { messageOf } from '../base/errors.ts'
import { cleanDeadRuns, removeAll } from './clean.ts'
import { openGuest } from './guest.ts'
import { openJournal } from './journal.ts'
import { judge, makeReport } from './run.ts'
import type { AuditEvent } from './run.ts'
import type { Probe } from './probe.ts'
import { chooseTargets } from './targets/find.ts'
import type { Choice, Machine } from './targets/find.ts'
import type { Discovery, Report, Result, TargetReport } from './types.ts'
import type { Target } from './target.ts'

export interface AuditOptions extends Omit<Machine, 'journal' | 'program'> {
  /** Words as on the command line: `dewar`, `docker`, `runsc`… */
  readonly targets: readonly string[]
  readonly probes: readonly Probe[]
  readonly load: boolean
  /** Path of the static program (native/build/dewar-probe). */
  readonly program: string
  readonly version: string
  readonly signal: AbortSignal
  readonly onEvent: (event: AuditEvent) => void
  /** ms for one target. */
  readonly limit: number
  /** Looks for unknown channels when given. */
  readonly discover?: (target: Target, signal: AbortSignal) => Promise<readonly Discovery[]>
  /** For tests. */
  readonly journalFolder?: string
}

export async function audit(options: AuditOptions): Promise<Report> {
  const startedAt = new Date()
  const old = await cleanDeadRuns(options.journalFolder)
  const journal = openJournal(randomBytes(5).toString('hex'), options.journalFolder)
  const machine: Machine = { ...options, journal, program: readFileSync(options.program) }
  const targets: TargetReport[] = []
  const results: Result[] = []
  const discoveries: Discovery[] = []
  let leftovers: readonly string[] = []
  try {
    const choices = await chooseTargets(options.targets, machine)
    options.onEvent(planOf(choices))
    for (const choice of choices) {
      const outcome = await judgeChoice(choice, options, machine)
      targets.push(outcome.target)
      results.push(...outcome.results)
      discoveries.push(...outcome.discoveries)
    }
  } finally {
    // What a probe held is gone; this is for what was made while it was given up, and for our own service of podman.
    leftovers = [...old, ...(await removeAll(journal.open()))]
    journal.close()
  }
  const { version, probes } = options
  return makeReport({ version, startedAt, targets, probes, results, discoveries, leftovers })
}

function planOf(choices: readonly Choice[]): AuditEvent {
  return {
    kind: 'plan',
    targets: choices.flatMap((choice) => ('absent' in choice ? [] : [choice.name])),
    missing: choices.flatMap((choice) => ('absent' in choice ? [choice.absent] : [])),
  }
}

interface Outcome {
  readonly target: TargetReport
  readonly results: readonly Result[]
  readonly discoveries: readonly Discovery[]
}

async function judgeChoice(choice: Choice, options: AuditOptions, machine: Machine): Promise<Outcome> {
  if ('absent' in choice) return { target: choice.absent, results: [], discoveries: [] }
  const opened = await choice.open().catch((error: unknown) => messageOf(error))
  if (typeof opened === 'string') {
    const { runArguments } = options
    const missing = { reason: `it does not run containers: ${opened}`, remedy: 'mend it and audit again' }
    const target = {
      name: choice.name,
      kind: 'container',
      version: '',
      level: '',
      runArguments,
      missing,
    } as const
    return { target, results: [], discoveries: [] }
  }
  await using target = opened
  const { probes, onEvent, signal, limit, load, program } = options
  const surroundings = { target, journal: machine.journal, program, load, openGuest }
  const results = await judge(surroundings, { probes, onEvent, signal, limit })
  if (options.discover !== undefined) onEvent({ kind: 'discovering', target: target.report.name })
  const discoveries = (await options.discover?.(target, signal)) ?? []
  return { target: target.report, results, discoveries }
}
