/** The page's looks. Verdicts always have a sign beside their colour; contrasts are at least 4.5:1 in both schemes. */
export const PAGE_STYLE = `:root {
  --paper: #f7f6f3; --card: #ffffff; --ink: #1b222c; --soft: #57606c; --line: #dcdad4;
  --leak: #b3261e; --contained: #19703f; --open: #8a5a00; --absent: #5a636f;
  --leak-wash: #fbe6e3; --contained-wash: #e2f2e8; --open-wash: #fbefd5; --absent-wash: #eceef0;
  --accent: #24579d; --glass: #e9eef5; --glass-line: #8ba0bb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #10141a; --card: #181e26; --ink: #e7eaee; --soft: #a3adb9; --line: #2d3641;
    --leak: #ff8a7d; --contained: #62cf95; --open: #e5b64f; --absent: #98a3af;
    --leak-wash: #40201f; --contained-wash: #17352a; --open-wash: #3a2f16; --absent-wash: #252c35;
    --accent: #8ab6f5; --glass: #1f2a38; --glass-line: #6d86a6;
  }
}
* { box-sizing: border-box }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100% }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto } }
body { margin: 0 auto; max-width: 76rem; padding: 0 1.25rem 3rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif }
h1 { font-size: clamp(1.7rem, 4.5vw, 2.6rem); line-height: 1.15; letter-spacing: -.02em; margin: 2.2rem 0 .4rem }
h2 { font-size: 1.35rem; letter-spacing: -.01em; margin: 2.6rem 0 .6rem; scroll-margin-top: .6rem; outline-offset: .3rem }
h3 { font-size: 1.1rem; margin: 0 } h4 { font-size: .95rem; margin: 0 0 .15rem }
p { margin: .3rem 0 } .lead { font-size: 1.15rem } .note { color: var(--soft); font-size: .875rem }
code { font: .85em/1.45 ui-monospace, 'SF Mono', Menlo, 'DejaVu Sans Mono', monospace; overflow-wrap: anywhere }
a { color: var(--accent) } :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px }
.skip { position: absolute; left: -100rem } .skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem }
.for-ears { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
.ink-LEAK { color: var(--leak) } .ink-CONTAINED { color: var(--contained) }
.ink-INCONCLUSIVE { color: var(--open) } .ink-ABSENT { color: var(--absent) }
.fill-LEAK { fill: var(--leak) } .fill-CONTAINED { fill: var(--contained) }
.fill-INCONCLUSIVE { fill: var(--open) } .fill-ABSENT { fill: var(--line) }
.targets { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 1rem }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1rem 1.1rem }
.card { display: flex; flex-direction: column } .card .picture { margin-top: auto } .card .note { margin-top: 0 } .missing { border-style: dashed; color: var(--soft) }
.bar { display: block; width: 100%; height: 8px; border-radius: 4px; margin: .7rem 0 .35rem }
.counts { font-size: .875rem; margin: 0 0 .6rem } .count { white-space: nowrap; margin-right: .7rem; font-weight: 600 }
.picture { display: block; width: 100%; height: auto; max-width: 27rem; margin: 0 auto }
.picture text { font-size: 12px; fill: var(--ink); text-anchor: middle }
.picture [text-anchor=start] { text-anchor: start } .picture [text-anchor=end] { text-anchor: end }
.picture .sum { font-weight: 700; fill: currentColor } .picture .inner-label { fill: var(--soft); font-size: 11px }
.who, .host { fill: var(--paper); stroke: var(--line) }
.wall { fill: var(--glass); stroke: var(--glass-line); stroke-width: 1.5 }
.inside { fill: var(--card); stroke: var(--glass-line); stroke-width: 1.5 } .stopper { fill: var(--glass-line) }
.guest { fill: var(--soft) }
.ray { fill: none; stroke-width: 2.5; stroke-linecap: round }
.ray-LEAK { stroke: var(--leak) } .tip-LEAK { fill: var(--leak) }
.ray-CONTAINED { stroke: var(--contained) } .stop { stroke: var(--contained); stroke-width: 4; stroke-linecap: round }
.ray-INCONCLUSIVE { stroke: var(--open); stroke-dasharray: 3 5 }
.legend { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 16rem), 1fr)); gap: .2rem 1rem;
  margin: 1rem 0 0; font-size: .875rem }
.legend dt { font-weight: 700 } .legend dd { margin: 0; color: var(--soft) }
.scroll { overflow-x: auto; margin: 1rem 0; background: var(--card); border: 1px solid var(--line); border-radius: 14px }
table { border-collapse: collapse; width: 100% }
caption { text-align: left; font-weight: 700; padding: .8rem 1rem .3rem }
.matrix th, .matrix td { padding: .2rem .3rem; text-align: center; font-weight: 600 }
.matrix thead th { font-size: .85rem; color: var(--soft); border-bottom: 1px solid var(--line); padding: .35rem .3rem }
.matrix tr > th:first-child { text-align: left; position: sticky; left: 0; background: var(--card); padding-left: 1rem;
  font-weight: 500; font-size: .92rem; min-width: 7rem; width: 30% }
.matrix tbody tr:last-child > * { padding-bottom: .7rem }
.cell { display: block; border-radius: 7px; padding: .22rem .3rem; text-decoration: none; white-space: nowrap;
  font-size: .9rem; font-variant-numeric: tabular-nums; min-width: 3.4rem }
.cell:hover { outline: 2px solid currentColor } .sign { font-weight: 800 }
.cell-LEAK { background: var(--leak-wash); color: var(--leak) }
.cell-CONTAINED { background: var(--contained-wash); color: var(--contained) }
.cell-INCONCLUSIVE { background: var(--open-wash); color: var(--open) }
.cell-ABSENT { background: var(--absent-wash); color: var(--absent) }
.none { color: var(--soft); font-size: .75rem; font-weight: 400 }
.plain th, .plain td { text-align: left; padding: .45rem .8rem; border-top: 1px solid var(--line); font-size: .875rem;
  font-weight: 400; vertical-align: top }
.plain tr > th:first-child { position: sticky; left: 0; background: var(--card) }
.plain thead th { border: 0; color: var(--soft) } .plain td { min-width: 6rem } .plain .number { text-align: right; white-space: nowrap }
form { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 9rem), 1fr)); gap: .6rem; align-items: end;
  background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: .9rem 1rem }
form[hidden] { display: none } label { display: grid; gap: .15rem; font-size: .8rem; color: var(--soft) }
select, input, button { font: inherit; font-size: 1rem; width: 100%; min-height: 2.5rem; padding: .25rem .5rem;
  color: var(--ink); background: var(--paper); border: 1px solid var(--line); border-radius: 8px }
button { cursor: pointer; background: transparent } .narrowed button { border-color: var(--accent); color: var(--accent) }
.probe { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: .45rem 0; overflow: clip }
.probe summary { cursor: pointer; padding: .6rem .9rem; display: flex; flex-wrap: wrap; gap: .2rem 1rem;
  align-items: baseline; justify-content: space-between }
.probe summary::-webkit-details-marker { display: none }
.question { flex: 1 1 22rem } .question::before { content: '▸ '; color: var(--soft) }
[open] > summary .question::before { content: '▾ ' }
.id { color: var(--soft); font-variant-numeric: tabular-nums; font-size: .85rem }
.chips { font-size: .85rem } .chip { white-space: nowrap; margin-left: .5rem; font-weight: 600 } .chip:first-child { margin-left: 0 }
[hidden] { display: none !important }
.severity { font-size: .7rem; font-weight: 700; text-transform: uppercase; letter-spacing: .04em; border-radius: 5px;
  padding: .1rem .4rem; background: var(--absent-wash); color: var(--absent) }
.severity-critical { background: var(--leak); color: var(--card) } .severity-high { background: var(--leak-wash); color: var(--leak) }
.severity-medium { background: var(--open-wash); color: var(--open) }
.body { padding: .2rem .9rem .9rem 1.9rem; border-top: 1px solid var(--line) }
.result { border-left: 3px solid var(--line); padding-left: .8rem; margin: .8rem 0 0; font-size: .92rem }
.result ul { margin: .3rem 0; padding-left: 1.1rem } .controls { color: var(--soft); font-size: .85rem }
.kind { color: var(--soft); font-size: .8rem }
.rest { fill: var(--glass-line) } .ours { fill: var(--accent) } .spread { stroke: var(--ink); stroke-width: 1.5 }
.chart { display: block; width: 100%; height: auto; padding: 0 1rem .8rem } .chart text { font-size: 12px; fill: var(--ink) }
.chart .soft { fill: var(--soft) } .chart [text-anchor=end] { text-anchor: end }
.gain-row { display: grid; grid-template-columns: minmax(8rem, 1.2fr) repeat(3, 2fr); gap: .3rem 1.4rem; padding: .7rem 0;
  border-top: 1px solid var(--line) } .gain-row:first-child { border: 0 } .gain-name .note { display: block }
.meter { display: grid; grid-template-columns: 1fr auto; gap: .1rem .5rem; align-items: baseline; align-content: center }
.meter svg { grid-column: 1 / -1; order: 1; display: block; width: 100%; height: 12px; border-radius: 3px }
.meter-label { color: var(--soft); font-size: .8rem } .meter-value { font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap }
.track { fill: var(--absent-wash) } .cost { fill: var(--accent) } .tick { fill: var(--card) }
.leak-out { fill: var(--leak) } .leak-in { fill: var(--open) } .leak-across { fill: var(--absent) }
.key { white-space: nowrap } .key svg { width: .7rem; height: .7rem }
.plain .cheaper { background: var(--contained-wash); color: var(--contained) }
.plain .dearer { background: var(--open-wash); color: var(--open) }
.plain .much-dearer { background: var(--leak-wash); color: var(--leak) }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1rem }
@media (max-width: 32rem) {
  body { padding: 0 .8rem 2rem } .card { padding: .8rem } .body { padding-left: .9rem }
  .matrix tr > th:first-child { padding-left: .7rem; min-width: 6.2rem; max-width: 7.5rem; font-size: .85rem }
  .matrix th, .matrix td { padding: .15rem } .cell { min-width: 2.9rem; font-size: .82rem; padding: .35rem .1rem }
  .matrix thead th { font-size: .78rem }
  .gain-row { grid-template-columns: 1fr; gap: .25rem } .gain-name .note { display: inline }
  .meter { grid-template-columns: 5rem 1fr 5rem } .meter svg { grid-column: auto; order: 0 } .meter-value { text-align: right }
}
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --leak: #a01a12; --contained: #125c33;
    --open: #6f4800; --absent: #555; --leak-wash: #fff; --contained-wash: #fff; --open-wash: #fff; --absent-wash: #fff;
    --glass: #fff; --glass-line: #777 }
  body { max-width: none; padding: 0; font-size: 11px } form, .skip { display: none !important }
  .card, .probe, tr { break-inside: avoid } .scroll { overflow: visible } h2, caption { break-after: avoid }
  .targets { grid-template-columns: repeat(2, 1fr) }
}
`
