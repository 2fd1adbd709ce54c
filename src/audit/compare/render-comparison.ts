/** What each wall costs beside what it buys: a table for a terminal, a page with a picture. */
import { page } from '../report/html.ts'
import { markup, type Markup } from '../report/markup.ts'
import { judged, tallyOf } from '../report/overview.ts'
import { plainText, wrapped } from '../report/plain-text.ts'
import { durationWords } from '../report/words.ts'
import type { Report } from '../types.ts'
import type { Comparison, Cost } from './compare.ts'
import { digits, ratioWords, spreadOf, type Spread } from './spread.ts'
import { START, WORKLOADS } from './workloads.ts'

const PARTS = [START, ...WORKLOADS]
const NAME = 14

/** What the audit says of the target: leaks of those that could be decided. Undefined without a report of it. */
function bought(report: Report | undefined, target: string): string | undefined {
  if (report === undefined || !judged(report).some(({ name }) => name === target)) return undefined
  const { LEAK, CONTAINED, ABSENT } = tallyOf(report.results.filter((result) => result.target === target))
  return `${LEAK} of ${LEAK + CONTAINED + ABSENT} leak`
}

function spreadFor(comparison: Comparison, target: string, workload: string): Spread | undefined {
  return spreadOf(costFor(comparison, target, workload)?.values ?? [])
}

function costFor(comparison: Comparison, target: string, workload: string): Cost | undefined {
  return comparison.costs.find((cost) => cost.target === target && cost.workload === workload)
}

/** At most 80 columns; ends with a line feed. */
export function renderComparison(comparison: Comparison, report: Report | undefined): string {
  const lines: string[] = []
  const present = comparison.targets.filter(({ missing }) => missing === undefined)
  const [first] = present
  for (const { name, unit, about } of PARTS) {
    lines.push(`${name} (${unit}): ${about}`)
    const base = first === undefined ? undefined : spreadFor(comparison, first.name, name)
    for (const target of present) lines.push(rowOf(comparison, target.name, name, base))
    lines.push('')
  }
  lines.push('what it buys (the audit)')
  for (const { name } of present)
    lines.push(
      `  ${plainText(name).slice(0, NAME).padEnd(NAME)}  ${bought(report, name) ?? 'not audited: give --report FILE'}`,
    )
  lines.push('')
  for (const { name, missing } of comparison.targets)
    if (missing !== undefined)
      lines.push(...wrapped(plainText(`${name}: not measured: ${missing.reason} (${missing.remedy})`), 80))
  lines.push(
    ...wrapped(noteOf(comparison, first?.name ?? 'nobody'), 80),
    ...comparison.leftovers.map(plainText),
  )
  return `${lines.join('\n')}\n`
}

function rowOf(comparison: Comparison, target: string, workload: string, base: Spread | undefined): string {
  const name = plainText(target).slice(0, NAME).padEnd(NAME)
  const spread = spreadFor(comparison, target, workload)
  if (spread === undefined) {
    const why = costFor(comparison, target, workload)?.missing ?? 'nothing came'
    return `  ${name}  not measured: ${plainText(why).slice(0, 45)}`
  }
  const ratio = base === undefined ? '' : ratioWords(spread, base)
  return `  ${name}  ${digits(spread.median).padStart(8)}  ${ratio.padStart(8)}  ${`${digits(spread.low)} to ${digits(spread.high)}`.padStart(18)}`
}

function noteOf({ rounds, duration }: Comparison, first: string): string {
  return (
    `Median of ${rounds} rounds, in turns, and from the least to the most; ${durationWords(duration)}. The ratio is to ${first}; ` +
    '≈ where the spreads overlap, so that it may be noise. A machine that does other things gives other figures: ' +
    'compare within a run only.'
  )
}

export function renderComparisonPage(comparison: Comparison, report: Report | undefined): string {
  const present = comparison.targets.filter(({ missing }) => missing === undefined)
  const absent = comparison.targets.flatMap(({ name, missing }) =>
    missing === undefined ? [] : [markup`<li>${name}: ${missing.reason} (${missing.remedy})</li>`],
  )
  const first = present[0]?.name ?? ''
  return page(
    'What does each wall cost, and what does it buy?',
    markup`<header><h1>What does each wall cost, and what does it buy?</h1>
<p class="note">${noteOf(comparison, first)}</p></header>
<main id="main"><section aria-labelledby="h-buys"><h2 id="h-buys">Cost and gain</h2>
${tableOf(comparison, report)}</section>
<section aria-labelledby="h-parts"><h2 id="h-parts">The parts</h2>
<p class="note">Shorter is better. The line is the spread, the bar ends at the median.</p>
<div class="targets">${PARTS.map((part) => chartOf(comparison, part))}</div></section>
${absent.length === 0 ? undefined : markup`<section><h2>Not measured</h2><ul>${absent}</ul></section>`}</main>`,
  )
}

function tableOf(comparison: Comparison, report: Report | undefined): Markup {
  const present = comparison.targets.filter(({ missing }) => missing === undefined)
  const first = present[0]?.name ?? ''
  const rows = present.map(({ name, version, level }) => {
    const cells = PARTS.map((part) => {
      const [spread, base] = [spreadFor(comparison, name, part.name), spreadFor(comparison, first, part.name)]
      const text = spread === undefined || base === undefined ? 'not measured' : ratioWords(spread, base)
      return markup`<td class="number">${text}</td>`
    })
    return markup`<tr><th scope="row"><b>${name}</b><br><span class="note">${version} ${level}</span></th>${cells}
<td>${bought(report, name) ?? 'not audited'}</td></tr>`
  })
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="Cost and gain"><table class="plain"><thead><tr>
<th scope="col">target</th>${PARTS.map(({ name }) => markup`<th scope="col" class="number">${name}</th>`)}
<th scope="col">audit</th></tr></thead><tbody>${rows}</tbody></table></div>`
}

const CHART = { left: 96, width: 190, row: 26 }

function chartOf(comparison: Comparison, part: (typeof PARTS)[number]): Markup {
  const rows = comparison.targets.flatMap(({ name }) => {
    const spread = spreadFor(comparison, name, part.name)
    return spread === undefined ? [] : [{ name, spread }]
  })
  const most = Math.max(1e-9, ...rows.map(({ spread }) => spread.high))
  const words = rows.map(({ name, spread }) => `${name} ${digits(spread.median)} ${part.unit}`).join(', ')
  const x = (value: number): string => (CHART.left + (value / most) * CHART.width).toFixed(1)
  const bars = rows.map(({ name, spread }, index) => {
    const y = 6 + index * CHART.row
    return markup`<text x="0" y="${y + 12}">${name.slice(0, 13)}</text>
<rect class="${index === 0 ? 'ours' : 'rest'}" x="${CHART.left}" y="${y}" width="${((spread.median / most) * CHART.width).toFixed(1)}" height="16" rx="3"/>
<path class="spread" d="M${x(spread.low)} ${y + 8} H${x(spread.high)} M${x(spread.low)} ${y + 4} v8 M${x(spread.high)} ${y + 4} v8"/>
<text class="soft" x="${CHART.left + CHART.width + 8}" y="${y + 12}">${digits(spread.median)}</text>`
  })
  return markup`<article class="card"><h3>${part.name} <span class="note">(${part.unit})</span></h3>
<p class="note">${part.about}</p><svg class="chart" viewBox="0 0 345 ${rows.length * CHART.row + 8}" role="img"
aria-label="${part.name}: ${words}">${bars}</svg></article>`
}
