import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import type { Report, Result } from '../types.ts'
import { exampleReport } from './example-report.ts'
import { renderHtml } from './html.ts'
import { renderJunit } from './junit.ts'
import { findingsOf, matrixOf } from './overview.ts'
import { parseReport, reportJsonSchema } from './parse-report.ts'
import { plainText, wrapped } from './plain-text.ts'
import { renderSarif } from './sarif.ts'
import { SEVERITIES } from './severity.ts'
import { renderTerminal } from './terminal.ts'

const PLAIN = { coloured: false, columns: 80, verbose: false }
const HOSTILE =
  '<script>alert(1)</script>\u001b]0;owned\u0007\u001b[2J"\' onload=x ]]>&amp;\u202egpj.exe\u0000\n::error::forged \uD800`${1}`'

/** This file runs from dist/ and from .build/. */
function projectFolder(from = import.meta.dirname): string {
  if (existsSync(join(from, 'package.json'))) return from
  assert.notEqual(dirname(from), from, 'no package.json above this file')
  return projectFolder(dirname(from))
}

/** The example with everything a guest may choose replaced. */
function hostile(text: string): Report {
  const report = exampleReport()
  const bad = (result: Result): Result => ({
    ...result,
    reason: text,
    evidence: [{ kind: 'path', text }],
    controls: [{ what: text, held: true }],
  })
  const [first, ...rest] = report.targets
  assert.ok(first)
  const rename = (name: string): string => (name === first.name ? text : name)
  return {
    ...report,
    targets: [{ ...first, name: text, version: text, runArguments: [text] }, ...rest],
    results: report.results.map((result) => ({ ...bad(result), target: rename(result.target) })),
    discoveries: [{ target: text, path: text, kind: 'equal-value', sample: text, known: [] }],
    leftovers: [text],
  }
}

test('parseReport takes back what JSON.stringify made of a report', () => {
  const report = exampleReport()
  assert.deepEqual(parseReport(JSON.stringify(report), 'a.json'), report)
})

test('parseReport names the file and the place of what is wrong', () => {
  const report = exampleReport()
  const broken = (change: object): string => JSON.stringify({ ...report, ...change })
  assert.throws(() => parseReport('{', 'a.json'), /^DewarError: reading a\.json: it is no JSON/)
  assert.throws(() => parseReport(broken({ schema: 'other/2' }), 'a.json'), /reading a\.json: schema: /)
  assert.throws(() => parseReport(broken({ startedAt: 'noon' }), 'a.json'), /startedAt: is no date/)
  assert.throws(() => parseReport(broken({ targets: [] }), 'a.json'), /names the target dewar/)
  const [one] = report.results
  const odd = broken({ results: [{ ...one, verdict: 'MAYBE' }] })
  assert.throws(() => parseReport(odd, 'a.json'), /results\.0\.verdict/)
})

test('reportJsonSchema is what docs/schemas holds, and says yes to a report and no to a wrong one', () => {
  const text = readFileSync(join(projectFolder(), 'docs/schemas/audit-report-1.json'), 'utf8')
  assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(reportJsonSchema())))
  const schema = z.fromJSONSchema(z.record(z.string(), z.unknown()).parse(JSON.parse(text)))
  assert.ok(schema.safeParse(exampleReport()).success)
  assert.ok(!schema.safeParse({ ...exampleReport(), results: [{}] }).success)
})

test('matrixOf has a row per asset and shows the worst verdict of each cell', () => {
  const rows = matrixOf(exampleReport(), 'in')
  const surface = rows.find(({ asset }) => asset === 'kernel surface')
  assert.deepEqual(
    surface?.cells.map(({ target, verdict }) => [target, verdict]),
    [
      ['dewar', 'CONTAINED'],
      ['docker', 'LEAK'],
      ['podman', 'LEAK'],
      ['runsc', 'CONTAINED'],
    ],
  )
})

test('findingsOf puts the worst first and leaves out what does not leak', () => {
  const ranks = findingsOf(exampleReport()).map(({ severity }) => SEVERITIES.indexOf(severity))
  assert.deepEqual(
    ranks,
    [...ranks].sort((a, b) => a - b),
  )
  assert.ok(!findingsOf(exampleReport()).some(({ probe }) => probe.id === 'I35'))
})

test('renderTerminal keeps within 80 columns and says every verdict without colour', () => {
  for (const verbose of [false, true]) {
    const text = renderTerminal(exampleReport(), { ...PLAIN, verbose })
    assert.deepEqual(
      text.split('\n').filter((line) => [...line].length > 80),
      [],
    )
    assert.ok(!text.includes('\u001b'))
    assert.match(text, /^kernel surface +✓ 2 +✗ 1\/2 +✗ 1\/2 +✓ 1$/m)
  }
})

test('renderTerminal shows the controls of each probe only when verbose', () => {
  const control = /control FAILED: the observer saw a control canary/
  assert.doesNotMatch(renderTerminal(exampleReport(), PLAIN), control)
  assert.match(renderTerminal(exampleReport(), { ...PLAIN, verbose: true }), control)
})

test('renderTerminal colours verdicts only when asked', () => {
  assert.match(renderTerminal(exampleReport(), { ...PLAIN, coloured: true }), /\u001b\[31m✗ 1/)
})

test('renderTerminal breaks targets that do not fit into blocks', () => {
  const report = exampleReport()
  const [dewar] = report.targets
  assert.ok(dewar)
  const many = Array.from({ length: 12 }, (_, index) => ({ ...dewar, name: `engine-${index}` }))
  const results = report.results.flatMap((result) =>
    result.target === 'dewar' ? many.map(({ name }) => ({ ...result, target: name })) : [],
  )
  const text = renderTerminal({ ...report, targets: many, results }, PLAIN)
  assert.deepEqual(
    text.split('\n').filter((line) => [...line].length > 80),
    [],
  )
  assert.match(text, /engine-11/)
})

test('renderTerminal obeys no escape sequence and no forged line of a hostile guest', () => {
  const text = renderTerminal(hostile(HOSTILE), { ...PLAIN, verbose: true })
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  assert.doesNotMatch(text, /^ *::error::/m)
})

test('plainText leaves nothing that a terminal would obey, whatever it is given', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(plainText(text), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u)
    }),
  )
})

test('wrapped loses no character but spaces and keeps to its width', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 5, max: 60 }), (text, width) => {
      const lines = wrapped(text, width)
      assert.equal(lines.join('').replaceAll(' ', ''), text.replaceAll(' ', ''))
      assert.ok(lines.every((line) => line.length <= width))
    }),
  )
})

const sarifLog = z.object({
  version: z.literal('2.1.0'),
  runs: z.array(
    z.object({
      tool: z.object({
        driver: z.object({
          rules: z.array(z.object({ id: z.string(), help: z.object({ text: z.string().min(1) }) })),
        }),
      }),
      invocations: z.array(z.object({ toolExecutionNotifications: z.array(z.unknown()) })),
      results: z.array(
        z.object({
          ruleId: z.string(),
          ruleIndex: z.number(),
          level: z.enum(['error', 'warning', 'note']),
          locations: z
            .array(
              z.object({ physicalLocation: z.object({ artifactLocation: z.object({ uri: z.string() }) }) }),
            )
            .length(1),
          partialFingerprints: z.record(z.string(), z.string()),
        }),
      ),
    }),
  ),
})

test('renderSarif has a rule per probe, a result per leak, and its rule indexes are right', () => {
  const report = exampleReport()
  const [run] = sarifLog.parse(JSON.parse(renderSarif(report))).runs
  assert.equal(run?.tool.driver.rules.length, report.probes.length)
  assert.equal(run?.results.length, report.results.filter(({ verdict }) => verdict === 'LEAK').length)
  for (const result of run?.results ?? [])
    assert.equal(run?.tool.driver.rules[result.ruleIndex]?.id, result.ruleId)
  // kata that is missing, and the inconclusive one.
  assert.equal(run?.invocations[0]?.toolExecutionNotifications.length, 2)
})

test('renderSarif has fingerprints that another run keeps and another target or configuration changes', () => {
  const prints = (report: Report): string[] =>
    sarifLog
      .parse(JSON.parse(renderSarif(report)))
      .runs.flatMap(({ results }) =>
        results.map(({ partialFingerprints }) => partialFingerprints['dewarAudit/v1'] ?? ''),
      )
  const first = prints(exampleReport())
  assert.equal(new Set(first).size, first.length)
  const report = exampleReport()
  const later: Report = {
    ...report,
    startedAt: '2027-01-01T00:00:00.000Z',
    duration: 1,
    results: report.results.map((result) => ({
      ...result,
      reason: 'other words',
      evidence: [],
      duration: 7,
    })),
  }
  assert.deepEqual(prints(later), first)
  const other = {
    ...report,
    targets: report.targets.map((target) => ({ ...target, runArguments: ['--privileged'] })),
  }
  assert.deepEqual(
    prints(other).filter((print) => first.includes(print)),
    [],
  )
})

test('renderSarif takes hostile names', () => {
  assert.doesNotThrow(() => sarifLog.parse(JSON.parse(renderSarif(hostile(HOSTILE)))))
})

test('renderJunit counts what it holds', () => {
  const xml = renderJunit(exampleReport())
  const number = (pattern: RegExp): number => [...xml.matchAll(pattern)].length
  const { results } = exampleReport()
  assert.equal(number(/<testcase /g), results.length + 1)
  assert.equal(number(/<failure /g), results.filter(({ verdict }) => verdict === 'LEAK').length)
  const total =
    /<testsuites name="dewar audit" tests="(\d+)" failures="(\d+)" errors="(\d+)" skipped="(\d+)"/.exec(xml)
  assert.deepEqual(total?.slice(1).map(Number), [153, 79, 2, 4])
})

test('renderJunit and renderHtml let no hostile text out of its place', () => {
  fc.assert(
    fc.property(fc.oneof(fc.constant(HOSTILE), fc.string({ unit: 'binary' })), (text) => {
      const marked = `${text}<i\u0001"'`
      const report = hostile(marked)
      const [html, xml] = [renderHtml(report), renderJunit(report)]
      assert.ok(!html.includes('<i\u0001') && !html.includes('<i\\x01') && !xml.includes('<i'))
      assert.equal([...html.matchAll(/<script/g)].length, 1)
      // What XML 1.0 cannot hold at all.
      assert.doesNotMatch(xml, /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Cs}/u)
    }),
    { numRuns: 15 },
  )
})

test('renderHtml asks for nothing from outside and forbids itself to', () => {
  const html = renderHtml(exampleReport())
  assert.match(html, /http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-/)
  assert.doesNotMatch(html, /(src|action)="|url\(|@import|unsafe-inline| style="| on[a-z]+="/)
})
