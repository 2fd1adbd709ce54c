/** `dewar audit show` and `dewar audit diff`: what is done with reports that were kept (`--json`). */
import { diffExitCode, diffReports, renderDiff } from '../../audit/report/diff-reports.ts'
import { parseReport } from '../../audit/report/parse-report.ts'
import type { Report } from '../../audit/types.ts'
import { coloursOn, type Cli } from '../cli.ts'
import { Failure } from '../failure.ts'
import { readText } from './outputs.ts'

export function readReport(file: string): Report {
  return parseReport(readText(file), file)
}

export function diffFiles(
  files: readonly string[],
  flags: { readonly json: boolean; readonly 'fail-on-loss': boolean },
  cli: Cli,
): number {
  const [before, after] = files
  if (before === undefined || after === undefined || files.length !== 2)
    throw new Failure('comparing reports failed: it takes two (dewar audit diff BEFORE.json AFTER.json)', 2)
  const diff = diffReports(readReport(before), readReport(after))
  if (flags.json) cli.say(JSON.stringify(diff, undefined, 2))
  else cli.stdout.write(renderDiff(diff, coloursOn(cli.stdout, cli.env)))
  return flags['fail-on-loss'] ? diffExitCode(diff) : 0
}
