import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diffExitCode, diffReports, renderDiff } from '../report/diff-reports.ts'
import { exampleReport } from '../report/example-report.ts'
import type { Report, Verdict } from '../types.ts'
import { judgePolicy, policyExitCode, renderPolicy } from './judge-policy.ts'
import { parsePolicy } from './policy.ts'

const KNOWN = exampleReport().probes
const TODAY = new Date('2026-11-23T12:00:00Z')
const judge = (text: string, report = exampleReport()) =>
  judgePolicy(report, parsePolicy(text, 'p.yaml', KNOWN), TODAY)
const codeOf = (text: string, report = exampleReport()): number => policyExitCode(judge(text, report))

/** The example with one verdict changed. */
function changed(target: string, probe: string, verdict: Verdict): Report {
  const report = exampleReport()
  const results = report.results.map((result) =>
    result.target === target && result.probe === probe ? { ...result, verdict } : result,
  )
  return { ...report, results }
}

test('parsePolicy takes YAML and JSON alike', () => {
  const yaml = 'version: 1\nrequire:\n  - target: dewar\n    direction: in\n'
  const json = '{"version": 1, "require": [{"target": ["dewar"], "direction": ["in"]}]}'
  assert.deepEqual(parsePolicy(yaml, 'a', KNOWN), parsePolicy(json, 'b', KNOWN))
  assert.deepEqual(parsePolicy(yaml, 'a', KNOWN).require[0]?.verdict, ['CONTAINED', 'ABSENT'])
})

test('parsePolicy names the file, the rule and what is wrong in it', () => {
  const refused = (text: string, pattern: RegExp): void =>
    assert.throws(() => parsePolicy(text, 'p.yaml', KNOWN), pattern)
  refused('version: 1\nrequire: []', /^DewarError: reading policy p\.yaml: require: /)
  refused('version: 2\nrequire: [{target: dewar}]', /p\.yaml: version: /)
  refused('version: 1\nrequire: [{targets: dewar}]', /require\.0: unknown field targets/)
  refused('version: 1\nrequire: [{probe: O99}]', /require\.0: there is no probe O99 \(there are: O01, /)
  refused('version: 1\nrequire: [{asset: fil}]', /require\.0: there is no asset fil/)
  refused('version: 1\nrequire: [{direction: sideways}]', /require\.0\.direction/)
  refused('version: 1\nrequire: [{verdict: SAFE}]', /require\.0\.verdict/)
  refused('version: 1\nrequire: [{}]\nexceptions: [{probe: O01}]', /exceptions\.0\.reason/)
  refused('version: 1\nrequire: [{}]\nexceptions: [{probe: O01, reason: " "}]', /must say why/)
  refused('version: 1\nrequire: [{}]\nexceptions: [{reason: x, expires: soon}]', /must be a day/)
  refused('a: [', /reading policy p\.yaml: /)
  refused('a: &a [1]\nb: [*a, *a]', /reading policy p\.yaml: /)
})

test('judgePolicy holds where every verdict is a required one', () => {
  const text = 'version: 1\nrequire: [{probe: in.sys.*, target: dewar}, {probe: I25, target: [dewar, runsc]}]'
  assert.equal(codeOf(text), 0)
  assert.equal(judge(text).checked, 3)
  assert.match(renderPolicy(judge(text), exampleReport()), /^policy held: 3 verdicts asked for, 0 broken/)
})

test('judgePolicy is broken by a leak', () => {
  const outcome = judge('version: 1\nrequire: [{probe: I25}]')
  assert.deepEqual(
    outcome.broken.map(({ target }) => target),
    ['docker', 'podman'],
  )
  assert.equal(policyExitCode(outcome), 1)
})

test('judgePolicy takes exactly the verdicts that are written', () => {
  assert.equal(codeOf('version: 1\nrequire: [{probe: I25, target: runsc, verdict: CONTAINED}]'), 1)
  assert.equal(codeOf('version: 1\nrequire: [{probe: I25, target: docker, verdict: LEAK}]'), 0)
})

test('judgePolicy says not proven of an inconclusive verdict, and of what nobody measured', () => {
  assert.equal(codeOf('version: 1\nrequire: [{probe: O32, target: podman}]'), 2)
  assert.equal(codeOf('version: 1\nrequire: [{target: kata}]'), 2)
  assert.equal(codeOf('version: 1\nrequire: [{target: dokcer}]'), 2)
  assert.equal(
    codeOf('version: 1\nrequire: [{probe: I25, target: dewar}]', { ...exampleReport(), results: [] }),
    2,
  )
  // A rule for every target is not proven while one of them could not be judged.
  assert.equal(codeOf('version: 1\nrequire: [{probe: I35}]'), 2)
})

test('judgePolicy prefers broken to not proven', () => {
  assert.equal(codeOf('version: 1\nrequire: [{probe: O32}, {probe: I25, target: docker}]'), 1)
})

test('judgePolicy accepts an exception until the end of its last day', () => {
  const text = (expires: string): string =>
    `version: 1\nrequire: [{probe: I25, target: docker}]\nexceptions: [{probe: I25, target: dock*, reason: old kernel, expires: ${expires}}]`
  assert.equal(codeOf(text('2026-11-23')), 0)
  assert.equal(codeOf(text('2026-11-22')), 1)
  assert.deepEqual(judge(text('2026-11-22')).notes, ['an exception ended on 2026-11-22: old kernel'])
  assert.match(
    renderPolicy(judge(text('2026-11-23')), exampleReport()),
    /accepted: docker I25 LEAK: old kernel/,
  )
})

test('judgePolicy says which exception nothing needs', () => {
  const outcome = judge(
    'version: 1\nrequire: [{probe: I35, target: dewar}]\nexceptions: [{probe: I35, reason: old}]',
  )
  assert.deepEqual(outcome.notes, ['an exception is not needed: old'])
})

test('diffReports tells lost, won and no longer proven apart', () => {
  const [base, same] = [exampleReport(), diffReports(exampleReport(), exampleReport())]
  assert.deepEqual([same.lost, same.won, same.unproven, same.other], [[], [], [], []])
  assert.equal(same.same, base.results.length)
  const lost = diffReports(base, changed('dewar', 'I20', 'LEAK'))
  assert.deepEqual(
    lost.lost.map(({ target, probe }) => [target, probe.id]),
    [['dewar', 'I20']],
  )
  assert.equal(diffExitCode(lost), 1)
  assert.equal(diffExitCode(diffReports(base, changed('docker', 'I25', 'CONTAINED'))), 0)
  assert.equal(diffReports(base, changed('docker', 'I25', 'CONTAINED')).won.length, 1)
  assert.equal(diffExitCode(diffReports(base, changed('dewar', 'I20', 'INCONCLUSIVE'))), 2)
  assert.match(renderDiff(lost, false), /^lost \(1\)\n {2}dewar I20 CONTAINED → LEAK: Can the container open/)
})

test('diffReports holds two reports of one target each against each other, whatever their names', () => {
  const only = (name: string): Report => {
    const report = exampleReport()
    return {
      ...report,
      targets: report.targets.filter((target) => target.name === name),
      results: report.results.filter(({ target }) => target === name),
    }
  }
  const diff = diffReports(only('docker'), only('dewar'))
  assert.equal(diff.lost.length, 0)
  assert.ok(diff.won.length > 5 && diff.won.every(({ target }) => target === 'docker → dewar'))
})

test('diffReports notes what only one report has', () => {
  const report = exampleReport()
  const less = {
    ...report,
    probes: report.probes.slice(1),
    results: report.results.filter(({ probe }) => probe !== 'O01'),
  }
  assert.ok(diffReports(report, less).notes.includes('O01 on dewar: only in the first report'))
  assert.ok(diffReports(less, report).notes.includes('O01 on dewar: only in the second report'))
})
