/**
 * `npm run bench [-- --quick] [--json] [--only=PART,…]`: how fast this engine is, beside what else is there
 * and the kernel's own limit, in one run. Reports, never judges: machines differ, so read the ratios.
 * A life is measured by Node's client, as before, and by one in C, which takes next to nothing of the time.
 * Parts: runtimes, plan, life, exec, memory, log, pull, client, docker-run, build, cp, list, compose, events.
 */
import { cpus, release } from 'node:os'
import { Scope } from '../harness/scope.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import * as measure from './measure.ts'
import { measureLifeCycles, measurePlanAlone } from './measure-life.ts'
import { benchOf, DAILY } from './measure-daily.ts'
import { buildPrograms } from './programs.ts'
import { printReport } from './print-report.ts'
import { startSubjects } from './subjects.ts'

const flags = new Set(process.argv.slice(2))
const only = process.argv
  .find((word) => word.startsWith('--only='))
  ?.slice('--only='.length)
  .split(',')
const wants = (part: string) => only === undefined || only.includes(part)
const effort: measure.Effort = flags.has('--quick')
  ? { runs: 20, atOnce: 10, pulls: 2, containers: 10 }
  : { runs: 100, atOnce: 50, pulls: 5, containers: 100 }
const say = (text: string) => process.stderr.write(`${text}\n`)

if (process.getuid?.() !== 0) {
  say('measuring: needs root; run `sudo npm run bench`')
  process.exit(1)
}
const report: measure.Report = { findings: [], absences: [] }
const scope = new Scope()
const broken = new AbortController()
// Engines and their containers would outlive a measurement that is broken off.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.on(signal, () => {
    if (broken.signal.aborted) return
    broken.abort()
    say('… breaking off, removing what was started')
    void scope[Symbol.asyncDispose]().finally(() => process.exit(code))
  })
try {
  const { path } = scope.use(await tempFolder('bench'))
  const programs = await buildPrograms(path)
  const attempt = async (part: string, work: () => Promise<void>) => {
    if (!wants(part)) return
    say(`… ${part}`)
    await work().catch((error: unknown) =>
      report.absences.push({ group: part, subject: 'the rest', reason: String(error).split('\n')[0] ?? '' }),
    )
  }
  await attempt('runtimes', () => measure.measureRuntimes(programs, effort, report))
  await attempt('plan', () => measurePlanAlone(programs, effort, report))
  const engines = ['life', 'exec', 'pull', 'log', 'memory', 'client', ...Object.keys(DAILY)].some(wants)
  const subjects = engines ? await startSubjects(scope, report.absences) : []
  await attempt('life', () => measureLifeCycles(programs, subjects, effort, report))
  await attempt('exec', () => measure.measureExec(subjects, effort, report))
  await attempt('memory', () => measure.measureMemory(subjects, effort, report))
  await attempt('log', () => measure.measureLogs(subjects, effort, report))
  await attempt('pull', () => measure.measurePulls(subjects, effort, report))
  await attempt('client', () => measure.measureClients(programs, subjects, effort, report))
  const bench = benchOf(subjects, effort, report)
  for (const [part, work] of Object.entries(DAILY)) await attempt(part, () => work(bench))
} finally {
  await scope[Symbol.asyncDispose]()
}
const machine = { kernel: release(), cpus: cpus().length, node: process.version }
if (broken.signal.aborted) say('… nothing is reported')
else if (flags.has('--json'))
  process.stdout.write(`${JSON.stringify({ machine, effort, ...report }, undefined, 2)}\n`)
else printReport(machine, report)
