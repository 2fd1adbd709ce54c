/** Carries out probes on targets and makes the report. */
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { messageOf } from '../base/errors.ts'
import { Context, SharedWorld } from './context.ts'
import type { Surroundings } from './context.ts'
import type { Probe } from './probe.ts'
import { REPORT_SCHEMA } from './types.ts'
import type { Discovery, ProbeDescription, Report, Result, Survey, TargetReport } from './types.ts'
import { checked, inconclusive } from './verdict.ts'
import type { Finding } from './verdict.ts'
import { watchHost } from './watchdog.ts'

/** What happens, as it happens. */
export type AuditEvent =
  /** Before anything is made. */
  | { readonly kind: 'plan'; readonly targets: readonly string[]; readonly missing: readonly TargetReport[] }
  | { readonly kind: 'target'; readonly target: TargetReport; readonly probes: number }
  | { readonly kind: 'probe-started'; readonly target: string; readonly probe: ProbeDescription }
  | { readonly kind: 'probe-ended'; readonly probe: ProbeDescription; readonly result: Result }
  | { readonly kind: 'cleaning' | 'discovering'; readonly target: string }

export interface RunOptions {
  readonly probes: readonly Probe[]
  readonly onEvent: (event: AuditEvent) => void
  /** Ctrl-C. */
  readonly signal: AbortSignal
  /** ms for one target; what has not begun by then is INCONCLUSIVE. */
  readonly limit: number
}

/** ms one probe may take. */
const PROBE_LIMIT = 60_000
/** Quiet probes share the machine; those that make load have it for themselves. */
const AT_ONCE = 3

/** Judges one target. Results come in the order of the catalogue. */
export async function judge(surroundings: Surroundings, options: RunOptions): Promise<readonly Result[]> {
  const { target } = surroundings
  options.onEvent({ kind: 'target', target: target.report, probes: options.probes.length })
  await using shared = new SharedWorld(surroundings)
  const results = new Map<string, Result>()
  const until = performance.now() + options.limit
  const one = async (probe: Probe): Promise<void> => {
    options.onEvent({ kind: 'probe-started', target: target.report.name, probe: describe(probe) })
    const result = await carryOut(probe, surroundings, shared, { ...options, until })
    results.set(probe.id, result)
    options.onEvent({ kind: 'probe-ended', probe: describe(probe), result })
  }
  const quiet = options.probes.filter(({ interference }) => interference === 'none')
  const loud = options.probes.filter(({ interference }) => interference !== 'none')
  await inParallel(quiet, AT_ONCE, one)
  await inParallel(loud, 1, one)
  options.onEvent({ kind: 'cleaning', target: target.report.name })
  return options.probes.flatMap(({ id }) => results.get(id) ?? [])
}

async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items]
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

async function carryOut(
  probe: Probe,
  surroundings: Surroundings,
  shared: SharedWorld,
  options: RunOptions & { readonly until: number },
): Promise<Result> {
  const began = performance.now()
  const finding = await findingOf(probe, surroundings, shared, options)
  const { verdict, reason, evidence, controls } = checked(finding)
  return {
    target: surroundings.target.report.name,
    probe: probe.id,
    verdict,
    reason,
    evidence,
    controls,
    duration: Math.round(performance.now() - began),
  }
}

async function findingOf(
  probe: Probe,
  surroundings: Surroundings,
  shared: SharedWorld,
  { signal, until }: RunOptions & { readonly until: number },
): Promise<Finding> {
  if (signal.aborted) return inconclusive('the audit was interrupted')
  const rest = until - performance.now()
  if (rest < 1000)
    return inconclusive('the time for the whole audit was over (choose fewer probes, or --limit)')
  if (probe.interference === 'load' && !surroundings.load)
    return inconclusive('it makes more load than a safe default allows (--load)')
  const limit = Math.floor(Math.min(probe.timeout ?? PROBE_LIMIT, rest))
  await using watchdog = watchHost(probe.interference !== 'none')
  const over = AbortSignal.any([signal, AbortSignal.timeout(limit), watchdog.signal])
  await using context = new Context(surroundings, shared, over)
  try {
    return await Promise.race([probe.run(context), rejectionOf(over)])
  } catch (error) {
    if (watchdog.signal.aborted)
      return inconclusive(`stopped by the watchdog: ${messageOf(watchdog.signal.reason)}`)
    if (over.aborted && !signal.aborted)
      return inconclusive(`it was not done within ${Math.round(limit / 1000)} s`)
    return inconclusive(signal.aborted ? 'the audit was interrupted' : `it failed: ${messageOf(error)}`)
  }
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
  })
}

/** Without the code. */
export function describe(probe: Probe): ProbeDescription {
  const { run: _run, timeout: _timeout, ...description } = probe
  return description
}

export function makeReport(parts: {
  readonly version: string
  readonly startedAt: Date
  readonly targets: readonly TargetReport[]
  readonly probes: readonly Probe[]
  readonly results: readonly Result[]
  readonly discoveries: readonly Discovery[]
  readonly surveys: readonly Survey[]
  readonly leftovers: readonly string[]
}): Report {
  return {
    schema: REPORT_SCHEMA,
    dewar: parts.version,
    startedAt: parts.startedAt.toISOString(),
    duration: Date.now() - parts.startedAt.getTime(),
    host: { kernel: release(), cpus: cpus().length, memory: totalmem(), cgroup: cgroupVersion() },
    targets: parts.targets,
    probes: parts.probes.map(describe),
    results: parts.results,
    discoveries: parts.discoveries,
    surveys: parts.surveys,
    leftovers: parts.leftovers,
  }
}

/** `v2`, `v1`, or `hybrid` (v1 with an empty v2 beside it). */
function cgroupVersion(): string {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
  const two = mounts.includes(' - cgroup2 ')
  return mounts.includes(' - cgroup ') ? (two ? 'hybrid' : 'v1') : 'v2'
}
