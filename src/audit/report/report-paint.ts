import type { Verdict } from '../types.ts'
import type { Severity } from './severity.ts'

/** The report's colours on a terminal; without colours the same words bare. */
export interface ReportPaint {
  bold(text: string): string
  dim(text: string): string
  good(text: string): string
  bad(text: string): string
  verdict(verdict: Verdict, text: string): string
  severity(severity: Severity): string
}

/** The sixteen colours only: people choose those to suit their background. */
const VERDICT_CODE: Readonly<Record<Verdict, string>> = {
  LEAK: '31',
  INCONCLUSIVE: '33',
  CONTAINED: '32',
  ABSENT: '2',
}
const SEVERITY_CODE: Readonly<Record<Severity, string>> = {
  critical: '1;31',
  high: '31',
  medium: '33',
  low: '2',
}

export function reportPaint(coloured: boolean): ReportPaint {
  const paint = (code: string, text: string): string => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text)
  return {
    bold: (text) => paint('1', text),
    dim: (text) => paint('2', text),
    good: (text) => paint('32', text),
    bad: (text) => paint('31', text),
    verdict: (verdict, text) => paint(VERDICT_CODE[verdict], text),
    severity: (severity) => paint(SEVERITY_CODE[severity], severity.toUpperCase()),
  }
}
