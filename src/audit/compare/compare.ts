/** `dewar compare`: what each wall costs, measured on every target in turns, so that all have the same weather. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { messageOf } from '../../base/errors.ts'
import { cleanDeadRuns, removeAll } from '../clean.ts'
import { openGuest } from '../guest.ts'
import { openJournal } from '../journal.ts'
import type { Target } from '../target.ts'
import { chooseTargets, type Machine } from '../targets/find.ts'
import type { TargetReport } from '../types.ts'
import { LENT, START, timed, WORKLOADS } from './workloads.ts'

export interface CompareOptions extends Omit<Machine, 'journal' | 'program'> {
  readonly targets: readonly string[]
  readonly program: string
  /** A static program that is a shell, too (busybox); undefined: CPU and exec are left out. */
  readonly lent: string | undefined
  readonly rounds: number
  readonly signal: AbortSignal
  readonly onProgress: (text: string) => void
  readonly journalFolder?: string
}

export interface Cost {
  readonly target: string
  readonly workload: string
  readonly unit: 'ms' | 'µs'
  /** In the order of the rounds. */
  readonly values: readonly number[]
  /** Why there are none. */
  readonly missing?: string
}

export interface Comparison {
  readonly schema: 'https://dewar.dev/schemas/compare-1.json'
  readonly startedAt: string
  /** ms */
  readonly duration: number
  readonly rounds: number
  readonly targets: readonly TargetReport[]
  readonly costs: readonly Cost[]
  readonly leftovers: readonly string[]
}

export async function compareTargets(options: CompareOptions): Promise<Comparison> {
  const startedAt = new Date()
  const old = await cleanDeadRuns(options.journalFolder)
  const journal = openJournal(randomBytes(5).toString('hex'), options.journalFolder)
  const machine: Machine = { ...options, journal, program: readFileSync(options.program) }
  const reports: TargetReport[] = []
  const costs: Cost[] = []
  let leftovers: readonly string[] = []
  try {
    await using open = new OpenTargets()
    const { targets } = open
    await openTargets(options, machine, targets, reports)
    const ledger = new Ledger()
    for (let round = 0; round < options.rounds && !options.signal.aborted; round += 1) {
      options.onProgress(`round ${round + 1} of ${options.rounds}`)
      for (const target of targets)
        if (!options.signal.aborted) await measureOnce(target, options.lent, ledger)
    }
    costs.push(...ledger.costs())
  } finally {
    leftovers = [...old, ...(await removeAll(journal.open()))]
    journal.close()
  }
  const duration = Date.now() - startedAt.getTime()
  return {
    schema: 'https://dewar.dev/schemas/compare-1.json',
    ...{ startedAt: startedAt.toISOString(), duration, rounds: options.rounds },
    ...{ targets: reports, costs, leftovers },
  }
}

async function openTargets(
  options: CompareOptions,
  machine: Machine,
  targets: Target[],
  reports: TargetReport[],
): Promise<void> {
  for (const choice of await chooseTargets(options.targets, machine)) {
    if (options.signal.aborted) return
    if ('absent' in choice) {
      reports.push(choice.absent)
      const { reason = '', remedy = '' } = choice.absent.missing ?? {}
      options.onProgress(`${choice.name} is not here: ${reason} (${remedy})`)
      continue
    }
    try {
      reports.push(await openTarget(await choice.open(), options.lent, targets))
    } catch (error) {
      const missing = { reason: `it does not run containers: ${messageOf(error)}`, remedy: 'mend it' }
      reports.push({
        name: choice.name,
        kind: 'container',
        version: '',
        level: '',
        runArguments: [],
        missing,
      })
    }
  }
}

/** Once without counting: it fills caches and shows whether it runs at all. */
async function openTarget(
  target: Target,
  lent: string | undefined,
  targets: Target[],
): Promise<TargetReport> {
  try {
    await measureOnce(target, lent, new Ledger())
  } catch (error) {
    await target[Symbol.asyncDispose]()
    throw error
  }
  targets.push(target)
  return target.report
}

class OpenTargets implements AsyncDisposable {
  readonly targets: Target[] = []

  async [Symbol.asyncDispose](): Promise<void> {
    for (const target of this.targets) await target[Symbol.asyncDispose]()
  }
}

class Ledger {
  readonly #values = new Map<
    string,
    { target: string; workload: string; unit: 'ms' | 'µs'; values: number[]; missing?: string }
  >()

  #line(target: string, workload: string, unit: 'ms' | 'µs') {
    const key = JSON.stringify([target, workload])
    const line = this.#values.get(key) ?? { target, workload, unit, values: [] }
    this.#values.set(key, line)
    return line
  }

  add(
    target: string,
    { name, unit }: { readonly name: string; readonly unit: 'ms' | 'µs' },
    value: number,
  ): void {
    this.#line(target, name, unit).values.push(value)
  }

  miss(
    target: string,
    { name, unit }: { readonly name: string; readonly unit: 'ms' | 'µs' },
    why: string,
  ): void {
    this.#line(target, name, unit).missing = why
  }

  costs(): Cost[] {
    return [...this.#values.values()]
  }
}

async function measureOnce(target: Target, lent: string | undefined, ledger: Ledger): Promise<void> {
  const { name } = target.report
  const mounts = lent === undefined ? [] : [{ source: lent, target: LENT, readOnly: true }]
  ledger.add(name, START, await timed(async () => (await target.create()).remove()))
  await using subject = await target.create({ mounts })
  await using guest = await openGuest(await subject.exec())
  for (const workload of WORKLOADS) {
    if (lent === undefined && ['exec', 'CPU'].includes(workload.name)) {
      ledger.miss(name, workload, 'needs a static busybox on the host: install busybox-static')
      continue
    }
    try {
      ledger.add(name, workload, await workload.measure({ subject, guest }))
    } catch (error) {
      ledger.miss(name, workload, messageOf(error))
    }
  }
}
