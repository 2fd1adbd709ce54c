/** Every probe with what it found, worst first, and the form that narrows them down. */
import type { Report, Result } from '../types.ts'
import { markup, type Markup } from './markup.ts'
import { findingOf, judged, tallyOf, worstOf, type Finding } from './overview.ts'
import { shortened } from './plain-text.ts'
import { SEVERITIES } from './severity.ts'
import { durationWords, OBSERVER_NAME, VERDICT_SIGN, VERDICTS } from './words.ts'

export function probeSection(report: Report): Markup {
  const names = report.targets.map(({ name }) => name)
  const findings = report.probes
    .map((probe) => findingOf(report, probe))
    .filter(({ leaks, others }) => leaks.length + others.length > 0)
    .sort((a, b) => rankOf(a) - rankOf(b) || b.leaks.length - a.leaks.length)
  return markup`<section id="probes" aria-labelledby="h-probes"><h2 id="h-probes">Every probe, the worst first</h2>
${filterForm(report, findings)}
<p id="shown" class="note" role="status">${findings.length} probes</p>
<div class="probes">${findings.map((finding) => probeOf(finding, names))}</div></section>`
}

/** Leaks by severity, then what is open, then what is contained or absent. */
function rankOf(finding: Finding): number {
  if (finding.leaks.length > 0) return SEVERITIES.indexOf(finding.severity)
  const worst = worstOf(tallyOf(finding.others)) ?? 'ABSENT'
  return SEVERITIES.length + VERDICTS.indexOf(worst)
}

function filterForm(report: Report, findings: readonly Finding[]): Markup {
  const probes = findings.map(({ probe }) => probe)
  const unique = (values: readonly string[]): string[] => [...new Set(values)].sort()
  // Hidden until the script runs: without it the page is the whole list.
  return markup`<form id="filters" hidden role="search" aria-label="Narrow the probes down">
${select('direction', unique(probes.map(({ direction }) => direction)))}
${select('asset', unique(probes.map(({ asset }) => asset)))}
${select('observer', unique(probes.flatMap(({ observers }) => observers)))}
${select('verdict', VERDICTS)}
${select(
  'target',
  judged(report).map(({ name }) => name),
)}
<label>text <input type="search" name="text" autocomplete="off"></label>
<button type="reset">Show all</button></form>`
}

function select(name: string, values: readonly string[]): Markup {
  const options = values.map((value) => markup`<option value="${value}">${wordFor(name, value)}</option>`)
  return markup`<label>${name} <select name="${name}"><option value="">all</option>${options}</select></label>`
}

function wordFor(name: string, value: string): string {
  if (name === 'verdict') return value.toLowerCase()
  const observers: Readonly<Record<string, string>> = OBSERVER_NAME
  return name === 'observer' ? (observers[value] ?? value) : value
}

function probeOf(finding: Finding, names: readonly string[]): Markup {
  const { probe, severity, leaks, others } = finding
  // In the order of the targets everywhere, so that a column of signs can be read down.
  const results = names.flatMap((name) => [...leaks, ...others].filter(({ target }) => target === name))
  const chips = results.map(
    ({ target, verdict }) =>
      markup`<span class="chip ink-${verdict}" data-target="${target}" data-verdict="${verdict}"><span
aria-hidden="true">${VERDICT_SIGN[verdict]}</span> ${target}<span class="for-ears"> ${verdict.toLowerCase()}</span></span> `,
  )
  const mark =
    leaks.length === 0 ? undefined : markup`<span class="severity severity-${severity}">${severity}</span> `
  return markup`<details class="probe" id="${probe.id}" data-direction="${probe.direction}" data-asset="${probe.asset}"
data-observers="${probe.observers.join(' ')}"><summary><span class="question">${mark}<span
class="id">${probe.id}</span> ${probe.question}</span><span class="chips">${chips}</span></summary>
<div class="body"><p><b>Remedy</b> ${probe.remedy}</p>
<p class="note">${probe.slug}, seen by ${probe.observers.map((one) => OBSERVER_NAME[one]).join('; ')}.
${probe.references.join(', ')}</p><p class="note">How it is tried: ${probe.method}</p>
${results.map((result) => resultOf(result))}</div></details>`
}

function resultOf({ target, verdict, reason, evidence, controls, duration }: Result): Markup {
  return markup`<div class="result" data-target="${target}" data-verdict="${verdict}"><h4><span
class="ink-${verdict}">${VERDICT_SIGN[verdict]} ${verdict.toLowerCase()}</span> on ${target}</h4>
<p>${reason}</p>${list(
    'evidence',
    evidence.map(
      ({ kind, text }) =>
        markup`<li><span class="kind">${kind}</span> <code>${shortened(text, 2000)}</code></li>`,
    ),
  )}${list(
    'controls',
    controls.map(
      ({ what, held }) =>
        markup`<li><span class="${held ? 'ink-CONTAINED' : 'ink-INCONCLUSIVE'}">control ${held ? 'held' : 'failed'}</span>:
${what}</li>`,
    ),
  )}<p class="note">${durationWords(duration)}</p></div>`
}

function list(name: string, items: readonly Markup[]): Markup | undefined {
  return items.length === 0 ? undefined : markup`<ul class="${name}">${items}</ul>`
}
