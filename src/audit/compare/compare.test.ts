import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exampleReport } from '../report/example-report.ts'
import type { Comparison } from './compare.ts'
import { renderComparison, renderComparisonPage } from './render-comparison.ts'
import { ratioWords, spreadOf } from './spread.ts'

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
  assert.match(text, /^ {2}docker +29 of 38 leak$/m)
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

test('renderComparisonPage draws each part and takes hostile names', () => {
  const html = renderComparisonPage(comparison('<script>x</script>'), undefined)
  assert.match(html, /aria-label="start: dewar 50\.0 ms, &lt;script&gt;x&lt;\/script&gt; 300 ms"/)
  assert.equal([...html.matchAll(/<script/g)].length, 1)
})
