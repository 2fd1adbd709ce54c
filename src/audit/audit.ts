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
import type { Discovered } from './discover/discover.ts'
import type { Discovery, Report, Result, Survey, TargetReport } from './types.ts'
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
  readonly discover?: (target: Target, signal: AbortSignal) => Promise<Discovered>
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
  const surveys: Survey[] = []
  let leftovers: readonly string[] = []
  try {
    const choices = await chooseTargets(options.targets, machine)
    options.onEvent(planOf(choices))
    for (const choice of choices) {
      const outcome = await judgeChoice(choice, options, machine)
      targets.push(outcome.target)
      results.push(...outcome.results)
      discoveries.push(...outcome.discoveries)
      surveys.push(...outcome.surveys)
    }
  } finally {
    // What a probe held is gone; this is for what was made while it was given up, and for our own service of podman.
    leftovers = [...old, ...(await removeAll(journal.open()))]
    journal.close()
  }
  const { version, probes } = options
  return makeReport({ version, startedAt, targets, probes, results, discoveries, surveys, leftovers })
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
  readonly surveys: readonly Survey[]
}

async function judgeChoice(choice: Choice, options: AuditOptions, machine: Machine): Promise<Outcome> {
  if ('absent' in choice) return { target: choice.absent, results: [], discoveries: [], surveys: [] }
  const opened = await openWorking(choice.open).catch((error: unknown) => messageOf(error))
  if (typeof opened === 'string') {
    const { runArguments } = options
    const missing = {
      reason: `it does not run containers: ${opened}`,
      remedy: 'look into its log, mend it, audit again',
    }
    const target = {
      name: choice.name,
      kind: 'container',
      version: '',
      level: '',
      runArguments,
      missing,
    } as const
    return { target, results: [], discoveries: [], surveys: [] }
  }
  await using target = opened
  const { probes, onEvent, signal, limit, load, program } = options
  const surroundings = { target, journal: machine.journal, program, load, openGuest }
  const results = await judge(surroundings, { probes, onEvent, signal, limit })
  return { target: target.report, results, ...(await discoveredOn(target, options)) }
}

/** With a first container, so that an engine that runs none says so once and not in each probe. */
async function openWorking(open: () => Promise<Target>): Promise<Target> {
  const target = await open()
  try {
    await (await target.create()).remove()
    return target
  } catch (error) {
    await target[Symbol.asyncDispose]()
    throw error
  }
}

/** The verdicts are there already: a discoverer that fails must not lose them. */
async function discoveredOn(
  target: Target,
  { discover, onEvent, signal }: AuditOptions,
): Promise<Pick<Outcome, 'discoveries' | 'surveys'>> {
  if (discover === undefined) return { discoveries: [], surveys: [] }
  const { name } = target.report
  onEvent({ kind: 'discovering', target: name })
  try {
    const { discoveries, survey } = await discover(target, signal)
    return { discoveries, surveys: [survey] }
  } catch (error) {
    const failure = signal.aborted ? 'the audit was interrupted' : messageOf(error)
    return {
      discoveries: [],
      surveys: [{ target: name, files: 0, compared: 0, cut: true, blocked: [], failure }],
    }
  }
}
