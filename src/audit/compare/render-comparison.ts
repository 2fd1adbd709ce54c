/** What each wall costs beside what it buys, for a terminal: the whole in one table, then each part with its spread. */
import { plainText, wrapped } from '../report/plain-text.ts'
import { durationWords } from '../report/words.ts'
import type { Report } from '../types.ts'
import type { Comparison } from './compare.ts'
import { digits, overlaps, ratioWords } from './spread.ts'
import {
  conclusionOf,
  costOf,
  PARTS,
  standingsOf,
  times,
  withUnit,
  type Share,
  type Standing,
} from './standing.ts'

const NAME = 14
const COLUMN = 8
const WIDTH = 80
/** Column heads that fit. */
const HEAD: Readonly<Record<string, string>> = { 'system call': 'call', network: 'net' }

/** At most 80 columns; ends with a line feed. */
export function renderComparison(comparison: Comparison, report: Report | undefined): string {
  const standings = standingsOf(comparison, report)
  const first = standings[0]?.target.name ?? 'nobody'
  const lines = [
    'What each wall costs',
    ...costTable(standings),
    '',
    'What it buys (leaks of the questions that the audit could answer)',
    ...gainTable(standings),
    '',
    ...conclusionOf(standings).flatMap((text) => wrapped(plainText(text), WIDTH)),
    '',
    ...PARTS.flatMap((part) => [...partLines(comparison, standings, part), '']),
  ]
  for (const { name, missing } of comparison.targets)
    if (missing !== undefined)
      lines.push(...wrapped(plainText(`${name}: not measured: ${missing.reason} (${missing.remedy})`), WIDTH))
  lines.push(...wrapped(plainText(noteOf(comparison, first)), WIDTH), ...comparison.leftovers.map(plainText))
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`
}

function nameCell(name: string): string {
  const plain = plainText(name)
  return (plain.length > NAME - 1 ? `${plain.slice(0, NAME - 2)}…` : plain).padEnd(NAME)
}

/** The first target in figures, the others in times of it. */
function costTable(standings: readonly Standing[]): readonly string[] {
  const heads = PARTS.map(({ name }) => (HEAD[name] ?? name).padStart(COLUMN))
  const [base] = standings
  const rows = standings.map((one) => {
    const cells = PARTS.map((part) => costCell(one, base, part).padStart(COLUMN))
    return `${nameCell(one.target.name)}${cells.join('')}`
  })
  return [`${' '.repeat(NAME)}${heads.join('')}`, ...rows]
}

/** `18 ms` for the first; then `15×`, or `≈1.0×` where it may be noise; `-` without a measurement. */
export function costCell(one: Standing, base: Standing | undefined, part: (typeof PARTS)[number]): string {
  const [mine, first] = [one.spreads.get(part.name), base?.spreads.get(part.name)]
  if (mine === undefined) return '-'
  if (one === base || first === undefined) return withUnit(mine.median, part.unit)
  return `${overlaps(mine, first) ? '≈' : ''}${times(mine.median / first.median)}`
}

function gainTable(standings: readonly Standing[]): readonly string[] {
  const cell = (text: string): string => text.padStart(12)
  const share = ({ leaks, of }: Share): string => cell(of === 0 ? 'not asked' : `${leaks} of ${of}`)
  const rows = standings.map(({ target, leaks }) => {
    const name = nameCell(target.name)
    if (leaks === undefined)
      return `${name}  not audited: give --report FILE (dewar audit --json ${plainText(target.name)})`.slice(
        0,
        WIDTH,
      )
    return `${name}${share(leaks.by.out)}${share(leaks.by.in)}${share(leaks.by.across)}${share(leaks)}`
  })
  const heads = ['out', 'in', 'across', 'all'].map(cell).join('')
  return standings.some(({ leaks }) => leaks !== undefined) ? [`${' '.repeat(NAME)}${heads}`, ...rows] : rows
}

function partLines(
  comparison: Comparison,
  standings: readonly Standing[],
  { name, unit, about }: (typeof PARTS)[number],
): readonly string[] {
  const base = standings[0]?.spreads.get(name)
  const rows = standings.map(({ target, spreads }) => {
    const spread = spreads.get(name)
    if (spread === undefined) {
      const why = costOf(comparison, target.name, name)?.missing ?? 'nothing came'
      return `  ${nameCell(target.name)}not measured: ${plainText(why).slice(0, 49)}`
    }
    const ratio = base === undefined ? '' : ratioWords(spread, base)
    const range = `${digits(spread.low)} to ${digits(spread.high)}`
    return `  ${nameCell(target.name)}${digits(spread.median).padStart(8)}  ${ratio.padStart(8)}  ${range.padStart(18)}`
  })
  return [`${name} (${unit}): ${about}`, ...rows]
}

export function noteOf({ rounds, duration }: Comparison, first: string): string {
  return (
    `Median of ${rounds} rounds, in turns, and from the least to the most; ${durationWords(duration)}. × is times ${first}; ` +
    '≈ where the spreads overlap, so that it may be noise. A machine that does other things gives other figures: ' +
    'compare within a run only.'
  )
}
