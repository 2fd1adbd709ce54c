/** The comparison as one page: a picture of cost and gain that says it at once, the figures, and each part with its spread. */
import { page } from '../report/html.ts'
import { markup, type Markup } from '../report/markup.ts'
import { DIRECTIONS } from '../report/words.ts'
import type { Report } from '../types.ts'
import type { Comparison } from './compare.ts'
import { costCell, noteOf } from './render-comparison.ts'
import { digits, overlaps } from './spread.ts'
import { conclusionOf, PARTS, standingsOf, times, withUnit, type Standing } from './standing.ts'
import { START } from './workloads.ts'

const TITLE = 'What does each wall cost, and what does it buy?'

export function renderComparisonPage(comparison: Comparison, report: Report | undefined): string {
  const standings = standingsOf(comparison, report)
  const absent = comparison.targets.flatMap(({ name, missing }) =>
    missing === undefined ? [] : [markup`<li>${name}: ${missing.reason} (${missing.remedy})</li>`],
  )
  return page(
    TITLE,
    markup`<header><h1>${TITLE}</h1>
<p class="lead">${conclusionOf(standings).join(' ')}</p></header>
<main id="main"><section aria-labelledby="h-picture"><h2 id="h-picture">Cost and gain</h2>
${pictureOf(standings)}</section>
<section aria-labelledby="h-table"><h2 id="h-table">In figures</h2>${tableOf(standings)}
<p class="note">${noteOf(comparison, standings[0]?.target.name ?? 'nobody')}</p></section>
<section aria-labelledby="h-parts"><h2 id="h-parts">The parts</h2>
<p class="note">Shorter is better. The line is the spread, the bar ends at the median.</p>
<div class="targets">${PARTS.map((part) => chartOf(standings, part))}</div></section>
${absent.length === 0 ? undefined : markup`<section><h2>Not measured</h2><ul>${absent}</ul></section>`}</main>`,
  )
}

/** A row per target: how long it takes to start and to work, and how much it leaks. */
function pictureOf(standings: readonly Standing[]): Markup {
  const starts = standings.flatMap(({ spreads }) => spreads.get(START.name)?.median ?? [])
  const works = standings.flatMap(({ work }) => work ?? [])
  const rows = standings.map(
    ({
      target,
      spreads,
      work,
      leaks,
    }) => markup`<div class="gain-row" role="listitem"><div class="gain-name"><b>${target.name}</b>
<span class="note">${[target.version, target.level].filter((word) => word !== '').join(', ')}</span></div>
${meter('start', spreads.get(START.name)?.median, starts, (value) => withUnit(value, START.unit))}
${meter('work inside', work, works, times)}
${leakMeter(leaks)}</div>`,
  )
  return markup`<div class="card gain" role="list" aria-label="Cost and gain of each target">${rows}
<p class="note">Shorter is better, in all three. The scale of the two costs is logarithmic: from one tick to the next
it is ten times as much. Work inside is the geometric mean of CPU, system call, memory, file and network (what may be noise counts as no difference), as times
${standings[0]?.target.name ?? 'nobody'}. Leaks are of the questions that the audit could answer:
${DIRECTIONS.map((direction) => markup`<span class="key"><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="leak-${direction}" width="10" height="10" rx="2"/></svg> ${direction}</span> `)}</p></div>`
}

const METER = 300

/** Logarithmic, from a little below the least of all targets. */
function meter(
  label: string,
  value: number | undefined,
  all: readonly number[],
  words: (value: number) => string,
): Markup {
  if (value === undefined)
    return markup`<div class="meter"><span class="meter-label">${label}</span><span class="meter-value note">not measured</span></div>`
  const low = Math.log10(Math.min(...all)) - 0.3
  const high = Math.max(Math.log10(Math.max(...all)), low + 1)
  const x = (log: number): number => ((log - low) / (high - low)) * METER
  const ticks = Array.from({ length: 12 }, (_, index) => Math.ceil(low) + index)
    .filter((log) => log < high)
    .map((log) => markup`<rect class="tick" x="${x(log).toFixed(1)}" y="0" width="1" height="12"/>`)
  return markup`<div class="meter"><span class="meter-label">${label}</span><svg viewBox="0 0 ${METER} 12" preserveAspectRatio="none"
aria-hidden="true"><rect class="track" width="${METER}" height="12"/><rect class="cost" width="${x(Math.log10(value)).toFixed(1)}" height="12"/>${ticks}</svg><span
class="meter-value">${words(value)}</span></div>`
}

function leakMeter(leaks: Standing['leaks']): Markup {
  if (leaks === undefined)
    return markup`<div class="meter"><span class="meter-label">leaks</span><span class="meter-value note">not audited</span></div>`
  let x = 0
  const parts = DIRECTIONS.map((direction) => {
    const width = (leaks.by[direction].leaks / Math.max(1, leaks.of)) * METER
    const part = markup`<rect class="leak-${direction}" x="${x.toFixed(1)}" width="${width.toFixed(1)}" height="12"/>`
    x += width
    return part
  })
  const words = DIRECTIONS.map((direction) => `${leaks.by[direction].leaks} ${direction}`).join(', ')
  return markup`<div class="meter"><span class="meter-label">leaks</span><svg viewBox="0 0 ${METER} 12" preserveAspectRatio="none"
role="img" aria-label="${words}"><title>${words}</title><rect class="track" width="${METER}" height="12"/>${parts}</svg><span
class="meter-value">${leaks.leaks} of ${leaks.of}</span></div>`
}

function tableOf(standings: readonly Standing[]): Markup {
  const [base] = standings
  const heads = [...PARTS.map(({ name }) => name), ...DIRECTIONS.map((direction) => `leaks ${direction}`)]
  const rows = standings.map((one) => {
    const costs = PARTS.map(
      (part) => markup`<td class="number ${heat(one, base, part.name)}">${costCell(one, base, part)}</td>`,
    )
    const gains = DIRECTIONS.map((direction) => {
      const share = one.leaks?.by[direction]
      return markup`<td class="number">${share === undefined ? 'not audited' : `${share.leaks} of ${share.of}`}</td>`
    })
    return markup`<tr><th scope="row"><b>${one.target.name}</b></th>${costs}${gains}</tr>`
  })
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="Cost and gain in figures"><table class="plain"><thead><tr>
<th scope="col">target</th>${heads.map((name) => markup`<th scope="col" class="number">${name}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`
}

/** Only what is no noise: much dearer, dearer, cheaper. */
function heat(one: Standing, base: Standing | undefined, part: string): string {
  const [mine, first] = [one.spreads.get(part), base?.spreads.get(part)]
  if (one === base || mine === undefined || first === undefined || overlaps(mine, first)) return ''
  const ratio = mine.median / first.median
  if (ratio < 1) return 'cheaper'
  return ratio < 3 ? 'dearer' : 'much-dearer'
}

const CHART = { left: 96, width: 186, row: 26 }

function chartOf(standings: readonly Standing[], part: (typeof PARTS)[number]): Markup {
  const rows = standings.flatMap(({ target, spreads }) => {
    const spread = spreads.get(part.name)
    return spread === undefined ? [] : [{ name: target.name, spread }]
  })
  const most = Math.max(1e-9, ...rows.map(({ spread }) => spread.high))
  const words = rows.map(({ name, spread }) => `${name} ${digits(spread.median)} ${part.unit}`).join(', ')
  const x = (value: number): string => (CHART.left + (value / most) * CHART.width).toFixed(1)
  const bars = rows.map(({ name, spread }, index) => {
    const y = 6 + index * CHART.row
    const width = ((spread.median / most) * CHART.width).toFixed(1)
    return markup`<text x="0" y="${y + 12}">${name.slice(0, 13)}</text>
<rect class="${index === 0 ? 'ours' : 'rest'}" x="${CHART.left}" y="${y}" width="${width}" height="16" rx="3"/>
<path class="spread" d="M${x(spread.low)} ${y + 8} H${x(spread.high)} M${x(spread.low)} ${y + 4} v8 M${x(spread.high)} ${y + 4} v8"/>
<text class="soft" x="345" y="${y + 12}" text-anchor="end">${withUnit(spread.median, part.unit)}</text>`
  })
  return markup`<article class="card"><h3>${part.name}</h3>
<p class="note">${part.about}</p><svg class="chart" viewBox="0 0 345 ${rows.length * CHART.row + 8}" role="img"
aria-label="${part.name}: ${words}">${bars}</svg></article>`
}
