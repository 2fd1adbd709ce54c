import type { Direction, Report, Verdict } from '../types.ts'
import { markup, type Markup } from './markup.ts'
import { judged, matrixOf, type Cell, type Row } from './overview.ts'
import { DIRECTION_TITLE, VERDICT_SIGN, VERDICTS } from './words.ts'

/** One direction as a table: assets down, targets across. */
export function matrixSection(report: Report, direction: Direction): Markup | undefined {
  const rows = matrixOf(report, direction)
  if (rows.length === 0) return undefined
  const heads = judged(report).map(({ name }) => markup`<th scope="col">${name}</th>`)
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="${DIRECTION_TITLE[direction]}">
<table class="matrix"><caption>${DIRECTION_TITLE[direction]}</caption>
<thead><tr><th scope="col">asset</th>${heads}</tr></thead>
<tbody>${rows.map((row) => rowOf(direction, row))}</tbody></table></div>`
}

function rowOf(direction: Direction, { asset, cells }: Row): Markup {
  return markup`<tr><th scope="row">${asset}</th>${cells.map((cell) => cellOf(direction, asset, cell))}</tr>`
}

/** A link for everyone; the script turns it into a filter. */
function cellOf(direction: Direction, asset: string, { target, tally, verdict }: Cell): Markup {
  if (verdict === undefined) return markup`<td><span class="none">not measured</span></td>`
  const total = VERDICTS.reduce((sum, one) => sum + tally[one], 0)
  const clean = verdict === 'CONTAINED' || tally[verdict] === total
  const share = clean ? `${tally[verdict]}` : `${tally[verdict]}/${total}`
  const words = `${asset} on ${target}: ${inWords(verdict, tally[verdict], total)}`
  return markup`<td><a class="cell cell-${verdict}" href="#probes" aria-label="${words}" title="${words}"
data-direction="${direction}" data-asset="${asset}" data-target="${target}"><span
class="sign" aria-hidden="true">${VERDICT_SIGN[verdict]}</span> <span aria-hidden="true">${share}</span></a></td>`
}

function inWords(verdict: Verdict, count: number, total: number): string {
  return `${count} of ${total} ${verdict.toLowerCase()}`
}
