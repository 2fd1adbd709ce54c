/** A report held against a policy. */
import type { ProbeDescription, Report, Result } from '../types.ts'
import { plainText } from '../report/plain-text.ts'
import { counted, VERDICT_SIGN } from '../report/words.ts'
import { fits, selects, type Exception, type Policy, type Requirement } from './policy.ts'

export interface PolicyOutcome {
  /** Another verdict than the required: exit code 1. */
  readonly broken: readonly Result[]
  /** Nobody can say whether it holds: exit code 2, unless something is broken. */
  readonly unproven: readonly string[]
  readonly excepted: ReadonlyArray<{ readonly result: Result; readonly exception: Exception }>
  /** Exceptions that are over, or that nothing needs any more. */
  readonly notes: readonly string[]
  /** Results that a requirement asked for. */
  readonly checked: number
}

/** `today`: exceptions that expired before do not count. */
export function judgePolicy(report: Report, policy: Policy, today: Date): PolicyOutcome {
  const probes = new Map(report.probes.map((probe) => [probe.id, probe]))
  const alive = policy.exceptions.filter(({ expires }) => !isOver(expires, today))
  const used = new Set<Exception>()
  const broken = new Set<Result>()
  const excepted = new Map<Result, Exception>()
  const unproven = new Set<string>()
  const checked = new Set<Result>()
  for (const requirement of policy.require) {
    const selected = report.results.filter((result) => chosen(requirement, probes, result))
    for (const why of gaps(report, requirement, selected)) unproven.add(why)
    for (const result of selected) {
      checked.add(result)
      if (requirement.verdict.includes(result.verdict)) continue
      const exception = alive.find(
        (one) => one.verdict.includes(result.verdict) && chosen(one, probes, result),
      )
      if (exception !== undefined) {
        used.add(exception)
        excepted.set(result, exception)
      } else if (result.verdict === 'INCONCLUSIVE') {
        unproven.add(`${result.target} ${result.probe}: inconclusive: ${result.reason}`)
      } else broken.add(result)
    }
  }
  const notes = [...overdue(policy, today), ...idle(alive, used)]
  const pairs = [...excepted].map(([result, exception]) => ({ result, exception }))
  return { broken: [...broken], unproven: [...unproven], excepted: pairs, notes, checked: checked.size }
}

/** 0 held, 1 broken, 2 could not be decided. What is known to be broken outweighs what is not known. */
export function policyExitCode({ broken, unproven }: PolicyOutcome): 0 | 1 | 2 {
  if (broken.length > 0) return 1
  return unproven.length > 0 ? 2 : 0
}

/** For a terminal or a log; ends with a line feed. */
export function renderPolicy(outcome: PolicyOutcome, report: Report): string {
  const question = (result: Result): string =>
    report.probes.find(({ id }) => id === result.probe)?.question ?? ''
  const lines = [
    ...outcome.broken.map(
      (result) =>
        `broken: ${result.target} ${result.probe} ${VERDICT_SIGN[result.verdict]} ${result.verdict}: ${question(result)} ${result.reason}`,
    ),
    ...outcome.unproven.map((text) => `not proven: ${text}`),
    ...outcome.excepted.map(
      ({ result, exception }) =>
        `accepted: ${result.target} ${result.probe} ${result.verdict}: ${exception.reason}${until(exception)}`,
    ),
    ...outcome.notes.map((text) => `note: ${text}`),
    summary(outcome),
  ]
  return lines.map((line) => `${plainText(line)}\n`).join('')
}

function summary(outcome: PolicyOutcome): string {
  const { broken, unproven, excepted, checked } = outcome
  const word = { 0: 'held', 1: 'BROKEN', 2: 'NOT PROVEN' }[policyExitCode(outcome)]
  const parts = [`${broken.length} broken`, `${unproven.length} not proven`, `${excepted.length} accepted`]
  return `policy ${word}: ${counted(checked, 'verdict')} asked for, ${parts.join(', ')}`
}

function until({ expires }: Exception): string {
  return expires === undefined ? '' : ` (until ${expires})`
}

function chosen(
  rule: Requirement | Exception,
  probes: ReadonlyMap<string, ProbeDescription>,
  result: Result,
): boolean {
  const probe = probes.get(result.probe)
  return probe !== undefined && selects(rule, probe, result.target)
}

/** What a requirement asks for and nobody measured. */
function gaps(report: Report, { target }: Requirement, selected: readonly Result[]): string[] {
  const wanted = (name: string): boolean => target?.some((one) => fits(one, name)) ?? true
  const missing = report.targets.flatMap(({ name, missing: why }) =>
    why !== undefined && wanted(name) ? [`${name} was not judged: ${why.reason} (${why.remedy})`] : [],
  )
  if (selected.length > 0 || missing.length > 0) return missing
  const names = target === undefined ? 'any target' : target.join(', ')
  return [`a requirement on ${names} found no result (were its probes and targets part of this audit?)`]
}

function isOver(expires: string | undefined, today: Date): boolean {
  return expires !== undefined && expires < today.toISOString().slice(0, 10)
}

function overdue(policy: Policy, today: Date): string[] {
  return policy.exceptions
    .filter(({ expires }) => isOver(expires, today))
    .map(({ reason, expires }) => `an exception ended on ${expires}: ${reason}`)
}

function idle(alive: readonly Exception[], used: ReadonlySet<Exception>): string[] {
  return alive.filter((one) => !used.has(one)).map(({ reason }) => `an exception is not needed: ${reason}`)
}
