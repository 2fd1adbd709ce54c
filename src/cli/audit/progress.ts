/**
 * What an audit says before it starts and while it runs, on stderr: one line that is rewritten on a terminal, a line for
 * each probe elsewhere (the log of a CI job).
 */
import type { Probe } from '../../audit/probe.ts'
import { plainText, wrapped } from '../../audit/report/plain-text.ts'
import { reportPaint, type ReportPaint } from '../../audit/report/report-paint.ts'
import { counted, VERDICT_SIGN } from '../../audit/report/words.ts'
import type { AuditEvent } from '../../audit/run.ts'
import { secondsOf } from '../../audit/select.ts'
import type { TargetReport, Verdict } from '../../audit/types.ts'
import { coloursOn, type Cli } from '../cli.ts'

/** Seconds that the discoverer takes, per target. */
const DISCOVERY = 60
/** Erases the line that the cursor is in. */
const ERASE = '\r\u001b[2K'

export interface ProgressOptions {
  readonly probes: readonly Probe[]
  readonly load: boolean
  readonly discover: boolean
}

export interface Progress {
  readonly show: (event: AuditEvent) => void
  /** Takes the last line away. */
  readonly end: () => void
}

export function auditProgress(cli: Cli, options: ProgressOptions): Progress {
  const live = cli.stderr.isTTY === true && cli.env['TERM'] !== 'dumb'
  const paint = reportPaint(coloursOn(cli.stderr, cli.env))
  const screen = live ? liveScreen(cli, paint) : log(cli)
  return {
    show: (event) => {
      if (event.kind === 'plan') {
        for (const line of announcement(event.targets, event.missing, options, columnsOf(cli))) cli.warn(line)
      } else screen.show(event)
    },
    end: screen.end,
  }
}

function columnsOf({ stderr }: Cli): number {
  return stderr.isTTY === true ? Math.min(stderr.columns, 120) : 80
}

/** What it will do, and about how long. */
export function announcement(
  targets: readonly string[],
  missing: readonly TargetReport[],
  { probes, load, discover }: ProgressOptions,
  columns: number,
): readonly string[] {
  const each = secondsOf(probes, load) + (discover ? DISCOVERY : 0)
  const loud = probes.filter(({ interference }) => load || interference !== 'load')
  const pressing = loud.filter(({ interference }) => interference !== 'none').length
  const heavy = probes.length - loud.length
  const absent = missing.map(
    ({ name, missing: why }) => `${name} is not here: ${why?.reason} (${why?.remedy})`,
  )
  if (targets.length === 0) return absent.flatMap((text) => wrapped(plainText(text), columns))
  const paragraphs = [
    `Audit of ${targets.join(', ')}: ${counted(probes.length, 'probe')} on each, about ${aboutTime(each * targets.length)}.`,
    'It starts containers of its own, plants random words in them, looks for these words from inside, from neighbours and on this host, and removes all of it, also after Ctrl-C.',
    ...(pressing === 0
      ? []
      : [
          `${counted(pressing, 'probe')} ${pressing === 1 ? 'presses' : 'press'} on CPU, memory, disk or network for some seconds each, bounded and watched${heavy === 0 ? '' : `; ${heavy} more only with --load`}.`,
        ]),
    ...(discover
      ? ['The discoverer reads /proc and /sys and keeps this machine busy for some seconds.']
      : []),
    ...absent,
  ]
  return paragraphs.flatMap((text) => wrapped(plainText(text), columns))
}

function aboutTime(seconds: number): string {
  if (seconds < 90) return `${Math.max(10, Math.ceil(seconds / 10) * 10)} seconds`
  return `${Math.ceil(seconds / 60)} minutes`
}

function log(cli: Cli): Progress {
  return {
    show: (event) => {
      if (event.kind === 'target')
        cli.warn(`${event.target.name} ${event.target.version}: ${counted(event.probes, 'probe')}`)
      if (event.kind === 'probe-ended') {
        const { result, probe } = event
        cli.warn(`  ${result.verdict.padEnd(12)} ${probe.id.padEnd(4)} ${probe.slug}  ${result.duration} ms`)
      }
    },
    end: () => undefined,
  }
}

/** `docker 34/92 ✗ 12 ? 3 ✓ 19  I21 in.caps.sets`. */
function liveScreen(cli: Cli, paint: ReportPaint): Progress {
  let name = ''
  let total = 0
  let tally: Record<Verdict, number> = none()
  const show = (doing: string): void => {
    const done = tally.LEAK + tally.INCONCLUSIVE + tally.CONTAINED + tally.ABSENT
    const head = `${plainText(name).slice(0, 20)} ${done}/${total}`
    const signs = (['LEAK', 'INCONCLUSIVE', 'CONTAINED'] as const).map(
      (verdict) => [verdict, `${VERDICT_SIGN[verdict]} ${tally[verdict]}`] as const,
    )
    const used = head.length + signs.reduce((sum, [, text]) => sum + text.length + 1, 0) + 2
    const room = Math.max(0, columnsOf(cli) - used - 1)
    const coloured = signs.map(([verdict, text]) => paint.verdict(verdict, text)).join(' ')
    cli.stderr.write(`${ERASE}${paint.bold(head)} ${coloured}  ${paint.dim(doing.slice(0, room))}`)
  }
  return {
    show: (event) => {
      if (event.kind === 'target') {
        ;({ name } = event.target)
        total = event.probes
        tally = none()
        show('')
      }
      if (event.kind === 'probe-started') show(`${event.probe.id} ${event.probe.question}`)
      if (event.kind === 'probe-ended') {
        tally[event.result.verdict] += 1
        show(`${event.probe.id} ${event.probe.question}`)
      }
      if (event.kind === 'cleaning') show('removing what was made')
      if (event.kind === 'discovering') show('reading /proc and /sys, inside and on this host')
    },
    end: () => void cli.stderr.write(ERASE),
  }
}

function none(): Record<Verdict, number> {
  return { LEAK: 0, INCONCLUSIVE: 0, CONTAINED: 0, ABSENT: 0 }
}
