import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { compareTargets, type Comparison } from '../../audit/compare/compare.ts'
import { renderComparisonPage } from '../../audit/compare/comparison-page.ts'
import { renderComparison } from '../../audit/compare/render-comparison.ts'
import { plainText } from '../../audit/report/plain-text.ts'
import { readReport } from '../audit/kept-reports.ts'
import { auditSurroundings } from '../audit/surroundings.ts'
import { checkWritable, orCouldNotRun, writeWhole } from '../audit/outputs.ts'
import type { Cli } from '../cli.ts'
import { atLeast, command, type ValuesOf } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, integer, string } from '../flags.ts'
import { packageRoot } from '../package-root.ts'

const FLAGS = {
  report: string('A kept report of `dewar audit --json`: what each wall buys', { value: 'file' }),
  rounds: integer('How often everything is measured', { initial: 7 }),
  json: bool('All measurements as JSON'),
  html: string('Write one self-contained page to this file', { value: 'file' }),
}

/** For one target. */
const SECONDS_PER_ROUND = 1.5
const TARGETS = ['dewar', 'docker', 'podman', 'runc', 'crun', 'runsc']
const PROGRAMS = ['/bin/busybox', '/usr/bin/busybox']

/** `dewar compare`: what each wall costs, beside what the audit says that it buys. */
export const compare = command({
  name: 'compare',
  summary: 'Measure what each isolation level and engine costs, beside what it buys',
  usage: '[OPTIONS] [TARGET...]',
  arity: atLeast(0),
  flags: FLAGS,
  examples: [
    { command: 'dewar compare', about: 'Every level and engine that is here' },
    {
      command: 'dewar compare --report audit.json --html compare.html dewar docker',
      about: 'Beside the audit’s result, as a page',
    },
  ],
  run: (flags, words, cli) => orCouldNotRun(() => carryOut(flags, words, cli)),
})

async function carryOut(flags: ValuesOf<typeof FLAGS>, words: readonly string[], cli: Cli): Promise<number> {
  if (process.getuid?.() !== 0) throw new Failure('comparing failed: it needs root (use sudo)', 2)
  if (flags.rounds < 1) throw new Failure('comparing failed: --rounds must be at least 1', 2)
  const report = flags.report === '' ? undefined : readReport(flags.report)
  if (flags.html !== '') checkWritable(flags.html)
  const targets = words.length === 0 ? TARGETS : words
  const about = Math.ceil((targets.length * (flags.rounds + 1) * SECONDS_PER_ROUND) / 10) * 10
  cli.warn(
    `Measures ${targets.join(', ')} in containers of its own, and removes them, also after Ctrl-C. About ${about} seconds on a quiet machine.`,
  )
  const stop = new AbortController()
  const interrupted = (): void => stop.abort()
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
  const comparison = await compareTargets({
    ...auditSurroundings(cli, []),
    ...{ targets, rounds: flags.rounds, signal: stop.signal },
    program: join(packageRoot(), 'native/build/dewar-probe'),
    lent: PROGRAMS.find((path) => existsSync(path)),
    onProgress: (text) => cli.warn(plainText(text)),
  })
  process.off('SIGINT', interrupted).off('SIGTERM', interrupted)
  if (flags.html !== '') writeWhole(flags.html, renderComparisonPage(comparison, report))
  cli.stdout.write(
    flags.json ? `${JSON.stringify(comparison, undefined, 2)}\n` : renderComparison(comparison, report),
  )
  if (stop.signal.aborted) return 130
  return measured(comparison) ? 0 : 2
}

function measured({ targets }: Comparison): boolean {
  return targets.some(({ missing }) => missing === undefined)
}
