/** What `dewar audit` and `dewar audit show` do with a report: show it, write it, hold it against a policy. */
import { accessSync, constants, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { judgePolicy, policyExitCode, renderPolicy } from '../../audit/policy/judge-policy.ts'
import { parsePolicy, type Policy } from '../../audit/policy/policy.ts'
import { renderHtml } from '../../audit/report/html.ts'
import { renderJunit } from '../../audit/report/junit.ts'
import { renderSarif } from '../../audit/report/sarif.ts'
import { renderTerminal } from '../../audit/report/terminal.ts'
import type { ProbeDescription, Report } from '../../audit/types.ts'
import { errnoOf, messageOf } from '../../base/errors.ts'
import { coloursOn, type Cli } from '../cli.ts'
import { Failure } from '../failure.ts'
import { bool, string } from '../flags.ts'

export const OUTPUT_FLAGS = {
  json: bool('The report as JSON instead of the matrix (docs/schemas/audit-report-1.json)'),
  sarif: string('Write the leaks as SARIF 2.1.0 to this file', { value: 'file' }),
  junit: string('Write the verdicts as JUnit XML to this file', { value: 'file' }),
  html: string('Write one self-contained page to this file', { value: 'file' }),
  policy: string('Required verdicts (YAML or JSON): exit code 0 held, 1 broken, 2 not proven', {
    value: 'file',
  }),
  verbose: bool('Show every probe with its controls and all evidence'),
}

interface OutputValues {
  readonly json: boolean
  readonly sarif: string
  readonly junit: string
  readonly html: string
  readonly policy: string
  readonly verbose: boolean
}

const RENDER = { sarif: renderSarif, junit: renderJunit, html: renderHtml } as const
const FILES = ['sarif', 'junit', 'html'] as const

export interface Outputs {
  /** Shows and writes all that was asked for; answers with the exit code. */
  readonly deliver: (report: Report) => number
}

/** Before the audit: it takes minutes, and must not end at a policy or a folder that was wrong from the start. */
export function prepareOutputs(flags: OutputValues, known: readonly ProbeDescription[], cli: Cli): Outputs {
  const policy = flags.policy === '' ? undefined : readPolicy(flags.policy, known)
  for (const kind of FILES) if (flags[kind] !== '') checkWritable(flags[kind])
  return { deliver: (report) => deliver(report, flags, policy, cli) }
}

/** Shown first: it took minutes, and must not be lost to a file that cannot be written. */
function deliver(report: Report, flags: OutputValues, policy: Policy | undefined, cli: Cli): number {
  cli.stdout.write(flags.json ? `${JSON.stringify(report, undefined, 2)}\n` : matrix(report, flags, cli))
  const failed = FILES.filter((kind) => flags[kind] !== '').flatMap((kind) => {
    try {
      writeWhole(flags[kind], RENDER[kind](report))
      return []
    } catch (error) {
      return [messageOf(error)]
    }
  })
  const code = judged(report, flags, policy, cli)
  for (const message of failed) cli.warn(message)
  // A policy that is broken is so whatever could not be written.
  return code === 0 && failed.length > 0 ? 2 : code
}

function judged(report: Report, { json }: OutputValues, policy: Policy | undefined, cli: Cli): number {
  if (policy === undefined) return report.targets.every(({ missing }) => missing !== undefined) ? 2 : 0
  const outcome = judgePolicy(report, policy, new Date())
  const text = renderPolicy(outcome, report)
  // With --json stdout is for machines.
  if (json) cli.stderr.write(text)
  else cli.stdout.write(`\n${text}`)
  return policyExitCode(outcome)
}

function matrix(report: Report, { verbose }: OutputValues, cli: Cli): string {
  const coloured = coloursOn(cli.stdout, cli.env)
  const columns = cli.stdout.isTTY === true ? cli.stdout.columns : 80
  return renderTerminal(report, { coloured, columns, verbose })
}

/** Exit code 2 for every audit that could not be made: 125 says in Docker's words that a container was not run. */
export async function orCouldNotRun(work: () => Promise<number>): Promise<number> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Failure && error.exitCode !== 125) throw error
    throw new Failure(messageOf(error), 2, error)
  }
}

function readPolicy(file: string, known: readonly ProbeDescription[]): Policy {
  return parsePolicy(readText(file), file, known)
}

export function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new Failure(
      `reading ${file} failed: ${errnoOf(error) ?? messageOf(error)} (give a file that is there)`,
      2,
      error,
    )
  }
}

export function checkWritable(file: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true)
    throw new Failure(`writing ${file} failed: it is a folder (name a file in it)`, 2)
  const folder = dirname(resolve(file))
  try {
    accessSync(folder, constants.W_OK)
  } catch (error) {
    throw new Failure(
      `writing ${file} failed: ${errnoOf(error) ?? messageOf(error)} (make the folder ${folder})`,
      2,
      error,
    )
  }
}

/** Whole or not at all; a device or a pipe (`/dev/stdout`) is written as it is. */
export function writeWhole(file: string, text: string): void {
  const temporary = file.startsWith('/dev/') ? file : `${file}.${process.pid}.part`
  try {
    writeFileSync(temporary, text)
    if (temporary !== file) renameSync(temporary, file)
  } catch (error) {
    if (temporary !== file) rmSync(temporary, { force: true })
    const why = errnoOf(error) ?? messageOf(error)
    throw new Failure(`writing ${file} failed: ${why} (make room, or name another file)`, 2, error)
  }
}
