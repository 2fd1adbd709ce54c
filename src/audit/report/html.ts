/**
 * The report as one page that needs nothing else: no request leaves it (a content security policy sees to that, with the
 * hashes of its own style and script), it works from a file, on paper, and without its script.
 */
import { createHash } from 'node:crypto'
import type { Report, TargetReport } from '../types.ts'
import { matrixSection } from './html-matrix.ts'
import { pictureOf } from './html-picture.ts'
import { probeSection } from './html-probes.ts'
import { PAGE_SCRIPT } from './html-script.ts'
import { PAGE_STYLE } from './html-style.ts'
import { markup, trusted, type Markup } from './markup.ts'
import { judged, tallyOf, type Tally } from './overview.ts'
import {
  counted,
  DIRECTIONS,
  durationWords,
  surveyWords,
  VERDICT_MEANING,
  VERDICT_SIGN,
  VERDICTS,
} from './words.ts'

export function renderHtml(report: Report): string {
  return page(
    'Do these containers contain?',
    markup`${header(report)}
<main id="main">
<section aria-labelledby="h-targets"><h2 id="h-targets">Who sees what</h2>
<div class="targets">${report.targets.map((target) => targetCard(report, target))}</div>${legend()}</section>
<section aria-labelledby="h-matrix"><h2 id="h-matrix">The matrix</h2>
<p class="note">Each cell shows its worst verdict, and how many of its probes gave it. Follow one to its probes.</p>
${DIRECTIONS.map((direction) => matrixSection(report, direction))}</section>
${probeSection(report)}
${discoveries(report)}
${leftovers(report)}
</main>
${footer(report)}`,
  )
}

/** The frame of every page of ours; `dewar compare` uses it too. */
export function page(title: string, body: Markup): string {
  const policy = [
    "default-src 'none'",
    `style-src '${hashOf(PAGE_STYLE)}'`,
    `script-src '${hashOf(PAGE_SCRIPT)}'`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${trusted(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${trusted(PAGE_STYLE)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the findings</a>
${body}
<script>${trusted(PAGE_SCRIPT)}</script>
</body>
</html>
`.text
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

function header(report: Report): Markup {
  const { kernel, cpus, memory, cgroup } = report.host
  const tally = tallyOf(report.results)
  const proven = tally.LEAK + tally.CONTAINED + tally.ABSENT
  const names = judged(report).map(({ name }) => name)
  return markup`<header><h1>Do these containers contain?</h1>
<p class="lead">${counted(tally.LEAK, 'leak')} in ${counted(proven, 'answer')} about
${names.length === 0 ? 'no target' : names.join(', ')}.
${tally.INCONCLUSIVE === 0 ? '' : `${counted(tally.INCONCLUSIVE, 'question')} stayed open.`}</p>
<p class="note"><time datetime="${report.startedAt}">${report.startedAt.slice(0, 16).replace('T', ' ')} UTC</time>,
${durationWords(report.duration)}, kernel ${kernel}, ${counted(cpus, 'CPU')},
${(memory / 2 ** 30).toFixed(1)} GiB, cgroup ${cgroup}, dewar ${report.dewar}</p></header>`
}

function targetCard(report: Report, target: TargetReport): Markup {
  const { name, version, level, runArguments, missing } = target
  const head = markup`<h3>${name}</h3><p class="note">${[version, level].filter((word) => word !== '').join(', ')}</p>`
  const args =
    runArguments.length === 0 ? undefined : markup`<p class="note"><code>${runArguments.join(' ')}</code></p>`
  if (missing !== undefined) {
    return markup`<article class="card missing">${head}<p>Not judged: ${missing.reason}.</p>
<p>Remedy: ${missing.remedy}.</p></article>`
  }
  const tally = tallyOf(report.results.filter((result) => result.target === name))
  return markup`<article class="card">${head}${args}${bar(tally)}${pictureOf(report, name)}</article>`
}

/** The four verdicts as one bar; the numbers stand beside it in words, so it is hidden from screen readers. */
function bar(tally: Tally): Markup {
  const total = Math.max(
    1,
    VERDICTS.reduce((sum, verdict) => sum + tally[verdict], 0),
  )
  let x = 0
  const parts = VERDICTS.map((verdict) => {
    const width = (tally[verdict] / total) * 300
    const part = markup`<rect class="fill-${verdict}" x="${x.toFixed(1)}" y="0" width="${width.toFixed(1)}" height="8"/>`
    x += width
    return part
  })
  const words = VERDICTS.filter((verdict) => tally[verdict] > 0).map(
    (verdict) =>
      markup`<span class="count ink-${verdict}">${VERDICT_SIGN[verdict]} ${tally[verdict]} ${verdict.toLowerCase()}</span> `,
  )
  return markup`<svg class="bar" viewBox="0 0 300 8" preserveAspectRatio="none" aria-hidden="true">${parts}</svg>
<p class="counts">${words}</p>`
}

function legend(): Markup {
  const entries = VERDICTS.map(
    (verdict) =>
      markup`<div><dt class="ink-${verdict}">${VERDICT_SIGN[verdict]} ${verdict.toLowerCase()}</dt>
<dd>${VERDICT_MEANING[verdict]}</dd></div>`,
  )
  return markup`<dl class="legend">${entries}</dl>`
}

function discoveries(report: Report): Markup | undefined {
  const surveys = report.surveys ?? []
  if (report.discoveries.length === 0 && surveys.length === 0) return undefined
  const rows = [...report.discoveries]
    .sort((a, b) => a.known.length - b.known.length)
    .map(
      ({ target, path, kind, sample, known }) =>
        markup`<tr><th scope="row"><code>${path}</code></th><td>${target}</td><td>${kind.replace('-', ' ')}</td>
<td><code>${sample.slice(0, 160)}</code></td><td>${known.length === 0 ? 'on no list of ours' : known.join(', ')}</td></tr>`,
    )
  return markup`<section aria-labelledby="h-found"><h2 id="h-found">Discovered</h2>
<p class="note">Files inside that carry the host's state, found without being told their names.</p>
${surveys.map((survey) => markup`<p class="note">${surveyWords(report, survey)}</p>`)}
<div class="scroll" tabindex="0" role="region" aria-labelledby="h-found"><table class="plain"><thead>
<tr><th scope="col">file</th><th scope="col">target</th><th scope="col">how</th><th scope="col">sample</th>
<th scope="col">known to</th></tr></thead><tbody>${rows}</tbody></table></div></section>`
}

function leftovers(report: Report): Markup | undefined {
  if (report.leftovers.length === 0) return undefined
  return markup`<section aria-labelledby="h-left"><h2 id="h-left">Left behind</h2>
<ul>${report.leftovers.map((text) => markup`<li>${text}</li>`)}</ul></section>`
}

function footer(report: Report): Markup {
  return markup`<footer><p class="note">A target is contained only where the thing was there, the observer was able to see
a control, and saw nothing. No level hides memory from a determined root without confidential-computing hardware.
Made by dewar ${report.dewar}; the same as data: <code>dewar audit --json</code>
(<code>${report.schema}</code>).</p></footer>`
}
