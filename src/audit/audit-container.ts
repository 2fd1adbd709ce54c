/** The audit of one container that somebody else made and uses: the probes that only look. */
import { randomBytes } from 'node:crypto'
import { cleanDeadRuns, removeAll } from './clean.ts'
import { openGuest } from './guest.ts'
import { openJournal } from './journal.ts'
import type { Probe } from './probe.ts'
import { judge, makeReport, type AuditEvent } from './run.ts'
import { findRunningContainer } from './targets/running-container.ts'
import type { Report, Result } from './types.ts'

export interface ContainerAuditOptions {
  /** Name or id, as its engine knows it. */
  readonly container: string
  /** Unix sockets of the engines to look in. */
  readonly sockets: readonly string[]
  readonly probes: readonly Probe[]
  /** Path of the static program (native/build/dewar-probe). */
  readonly program: string
  readonly version: string
  readonly signal: AbortSignal
  readonly onEvent: (event: AuditEvent) => void
  /** ms */
  readonly limit: number
  /** For tests. */
  readonly journalFolder?: string
}

export async function auditContainer(options: ContainerAuditOptions): Promise<Report> {
  const { program, signal, onEvent, limit, version, sockets } = options
  const startedAt = new Date()
  const probes = options.probes.filter(({ readOnly }) => readOnly)
  const old = await cleanDeadRuns(options.journalFolder)
  const { target, subject } = await findRunningContainer(options.container, sockets, program)
  await using judged = target
  const journal = openJournal(randomBytes(5).toString('hex'), options.journalFolder)
  let results: readonly Result[] = []
  let leftovers: readonly string[] = []
  try {
    const surroundings = { target: judged, journal, program, load: false, openGuest, container: subject }
    results = await judge(surroundings, { probes, onEvent, signal, limit })
  } finally {
    // What a probe planted on the host and could not take back when it was given up.
    leftovers = [...old, ...(await removeAll(journal.open()))]
    journal.close()
  }
  const targets = [judged.report]
  return makeReport({ version, startedAt, targets, probes, results, discoveries: [], surveys: [], leftovers })
}
