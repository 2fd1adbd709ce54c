import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exampleReport } from '../report/example-report.ts'
import type { Comparison } from './compare.ts'
import { renderComparisonPage } from './comparison-page.ts'
import { renderComparison } from './render-comparison.ts'
import { ratioWords, spreadOf } from './spread.ts'
import { conclusionOf, standingsOf, withUnit } from './standing.ts'

const [dewar, docker, , , kata] = exampleReport().targets

function comparison(name = 'docker'): Comparison {
  assert.ok(dewar && docker && kata)
  const cost = (target: string, ...values: readonly number[]) =>
    ({ target, workload: 'start', unit: 'ms', values }) as const
  return {
    schema: 'https://dewar.dev/schemas/compare-1.json',
    ...{ startedAt: '2026-11-23T19:00:00.000Z', duration: 50_000, rounds: 3, leftovers: [] },
    targets: [dewar, { ...docker, name }, kata],
    costs: [
      cost('dewar', 40, 50, 60),
      cost(name, 300, 290, 500),
      { target: name, workload: 'CPU', unit: 'ms', values: [], missing: 'it is refused there: EPERM' },
    ],
  }
}

test('spreadOf gives the middle and the ends, and nothing of nothing', () => {
  assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, low: 1, high: 3 })
  assert.deepEqual(spreadOf([4, 1]), { median: 2.5, low: 1, high: 4 })
  assert.equal(spreadOf([]), undefined)
})

test('ratioWords calls nothing a difference that may be noise', () => {
  const base = { median: 10, low: 8, high: 12 }
  assert.equal(ratioWords({ median: 20, low: 15, high: 30 }, base), '2.00×')
  assert.equal(ratioWords({ median: 12, low: 11, high: 30 }, base), '≈1.20×')
})

test('renderComparison shows cost beside gain within 80 columns', () => {
  const text = renderComparison(comparison(), exampleReport())
  assert.match(text, /^ {2}docker +300 +6\.00× +290 to 500$/m)
  assert.match(text, /^docker +6\.0× +- +-/m)
  assert.match(text, /^docker +\d+ of \d+ +\d+ of \d+ +\d+ of \d+ +29 of 38$/m)
  assert.match(text, /not measured: it is refused there: EPERM/)
  assert.match(text, /^kata: not measured: kata-runtime is not installed/m)
  assert.deepEqual(
    text.split('\n').filter((line) => [...line].length > 80),
    [],
  )
})

test('renderComparison says when nobody audited', () => {
  assert.match(renderComparison(comparison(), undefined), /dewar +not audited: give --report FILE/)
})

test('standingsOf calls work inside the same where it may be noise, and nothing where a part is missing', () => {
  const { targets, costs, ...rest } = comparison()
  const [one, two] = targets.map(({ name }) => name)
  const parts = ['CPU', 'system call', 'memory', 'file', 'network']
  const inside = parts.flatMap((workload) => [
    { target: one ?? '', workload, unit: 'µs', values: [10, 11, 12] } as const,
    {
      target: two ?? '',
      workload,
      unit: 'µs',
      values: workload === 'file' ? [320, 352, 400] : [12, 13],
    } as const,
  ])
  const others = costs.filter(({ workload }) => workload === 'start')
  const [first, second] = standingsOf({ ...rest, targets, costs: [...others, ...inside] }, undefined)
  assert.equal(first?.work, 1)
  assert.equal(second?.work?.toFixed(3), (32 ** (1 / 5)).toFixed(3))
  assert.equal(standingsOf(comparison(), undefined)[0]?.work, undefined)
})

test('conclusionOf says what leaks least and at what price, and does not call noise a difference', () => {
  const both = standingsOf(comparison(), exampleReport())
  assert.match(
    conclusionOf(both).join(' '),
    /^Fewest leaks: \w+, \d+ of \d+ questions.*Quickest start: dewar, 50 ms\.$/,
  )
  const [dewarOnly] = both
  assert.ok(dewarOnly)
  assert.match(conclusionOf([dewarOnly, dewarOnly]).join(' '), /Quickest start: dewar, 50 ms/)
  assert.deepEqual(conclusionOf([]), ['Nothing was measured.'])
})

test('withUnit keeps figures short', () => {
  const shown = [withUnit(2034, 'ms'), withUnit(0.31, 'µs'), withUnit(5875, 'µs'), withUnit(18.3, 'ms')]
  assert.deepEqual(shown, ['2.0 s', '310 ns', '5.9 ms', '18 ms'])
})

test('renderComparisonPage draws each part and takes hostile names', () => {
  const html = renderComparisonPage(comparison('<script>x</script>'), undefined)
  assert.match(html, /aria-label="start: dewar 50\.0 ms, &lt;script&gt;x&lt;\/script&gt; 300 ms"/)
  assert.equal([...html.matchAll(/<script/g)].length, 1)
})
