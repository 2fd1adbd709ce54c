/**
 * What an audit hands over, from real runs, read by those whom it is for: a JSON schema's validator, SARIF's schema, an XML
 * parser; the exit codes of policies; two configurations held against each other; and evidence that a hostile guest chose.
 */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Ajv, type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Report } from '../../src/audit/types.ts'
import { command, describe as told, type CommandResult } from '../harness/command.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { DEWAR, PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'

/** Some of each verdict: O29 is INCONCLUSIVE where strace attaches to nothing, I17 is ABSENT in a machine without sensors. */
const PROBES = 'O01,O05,O29,I02,I21,I22,I17,I23,A31'
const NOWHERE = 'podman=/nowhere/p.sock'

/** Of the schema that comes with Microsoft's matchers. It is of draft 4, of which it uses nothing that was changed later. */
async function sarifValidator(): Promise<ValidateFunction> {
  const path = createRequire(import.meta.url).resolve(
    '@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json',
  )
  const {
    id: _id,
    $schema: _schema,
    ...schema
  } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
  const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false })
  addFormats.default(ajv)
  return ajv.compile(schema)
}

interface SarifLog {
  readonly runs: readonly {
    readonly tool: { readonly driver: { readonly rules: readonly { readonly id: string }[] } }
    readonly results: readonly {
      readonly ruleId: string
      readonly ruleIndex: number
      readonly partialFingerprints: { readonly primaryLocationLineHash: string }
    }[]
    readonly invocations: readonly {
      readonly executionSuccessful: boolean
      readonly toolExecutionNotifications: readonly unknown[]
    }[]
  }[]
}

/** Expat's view: counts as the suites say them, and as there are elements. */
const COUNT_XML = `
import sys, json, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
number = lambda one, name: int(one.get(name))
names = ['tests', 'failures', 'errors', 'skipped']
count = lambda one: [len(one.findall('.//testcase'))] + [len(one.findall('.//testcase/' + name)) for name in ['failure', 'error', 'skipped']]
print(json.dumps([[one.get('name'), [number(one, name) for name in names], count(one)] for one in [root] + root.findall('testsuite')]))
`

describe('outputs of dewar audit', { skip: missing('unshare', 'python3'), concurrency: 1 }, () => {
  const scope = new Scope()
  let folder = ''
  let target = ''
  let report: Report
  const path = (name: string): string => join(folder, name)

  const audit = (...words: readonly string[]): Promise<CommandResult> =>
    command([DEWAR, 'audit', '--probe', PROBES, ...words], {
      timeout: 600_000,
      env: { PATH: `${path('bin')}:${process.env['PATH']}` },
    })

  before(async () => {
    folder = scope.use(await tempFolder('outputs')).path
    await mkdir(path('bin'))
    const refused =
      '#!/bin/sh\necho "strace: attach: ptrace(PTRACE_SEIZE): Operation not permitted" >&2\nexit 1\n'
    await writeFile(path('bin/strace'), refused, { mode: 0o755 })
    const network = scope.use(await networkNamespace(path('netns.log')))
    const own = { folder: path('dewar'), network, bridge: 'dwtd8', subnet: '172.26.8.0/24' }
    target = `dewar=${scope.use(await startEngine(own)).socket}`
    const files = ['--sarif', path('a.sarif'), '--junit', path('a.xml'), '--html', path('a.html')]
    const result = await audit('--json', ...files, target, NOWHERE)
    assert.equal(result.code, 0, told(['dewar audit'], result))
    await writeFile(path('a.json'), result.stdout)
    // Its shape is what the first test is about.
    report = JSON.parse(result.stdout) as Report
  })
  after(async () => scope[Symbol.asyncDispose]())

  const count = (verdict: string): number =>
    report.results.filter((result) => result.verdict === verdict).length

  test('--json is what docs/schemas promises', async () => {
    const ajv = new Ajv2020({ allErrors: true })
    const schema = JSON.parse(
      await readFile(join(PROJECT, 'docs/schemas/audit-report-1.json'), 'utf8'),
    ) as object
    const validate = ajv.compile(schema)
    assert.ok(validate(report), JSON.stringify(validate.errors))
    assert.ok(!validate({ ...report, results: [{ ...report.results[0], verdict: 'MAYBE' }] }))
    assert.equal(report.results.length, PROBES.split(',').length)
    for (const verdict of ['LEAK', 'CONTAINED', 'INCONCLUSIVE']) assert.ok(count(verdict) > 0, verdict)
  })

  test('--sarif is SARIF 2.1.0: a rule per probe, a result per leak, the rest as notifications', async () => {
    const log = JSON.parse(await readFile(path('a.sarif'), 'utf8')) as SarifLog
    const validate = await sarifValidator()
    assert.ok(validate(log), JSON.stringify(validate.errors))
    const [run] = log.runs
    assert.ok(run)
    assert.equal(run.tool.driver.rules.length, report.probes.length)
    assert.equal(run.results.length, count('LEAK'))
    for (const { ruleId, ruleIndex, partialFingerprints } of run.results) {
      assert.equal(run.tool.driver.rules[ruleIndex]?.id, ruleId)
      assert.match(partialFingerprints.primaryLocationLineHash, /^[0-9a-f]{32}:1$/)
    }
    const [invocation] = run.invocations
    assert.equal(invocation?.executionSuccessful, false, 'podman was not there')
    assert.equal(invocation?.toolExecutionNotifications.length, count('INCONCLUSIVE') + 1)
  })

  test('--junit is XML whose counts are those of its cases', async () => {
    const { stdout } = await command(['python3', '-c', COUNT_XML, path('a.xml')], { check: true })
    const suites = JSON.parse(stdout) as readonly (readonly [string, readonly number[], readonly number[]])[]
    assert.deepEqual(
      suites.map(([name]) => name),
      ['dewar audit', 'dewar', 'podman'],
    )
    for (const [name, told, counted] of suites) assert.deepEqual(told, counted, name)
    const all = [report.results.length + 1, count('LEAK'), count('INCONCLUSIVE') + 1, count('ABSENT')]
    assert.deepEqual(suites[0]?.[1], all)
  })

  test('audit show says the same again from the kept report', async () => {
    const files = ['--sarif', path('b.sarif'), '--junit', path('b.xml'), '--html', path('b.html')]
    const result = await command([DEWAR, 'audit', 'show', ...files, path('a.json')])
    assert.equal(result.code, 0, told(['dewar audit show'], result))
    for (const kind of ['sarif', 'xml', 'html'])
      assert.equal(await readFile(path(`b.${kind}`), 'utf8'), await readFile(path(`a.${kind}`), 'utf8'), kind)
    assert.match(result.stdout, /^podman: not judged: /m)
  })

  const policies = [
    [
      'what holds',
      0,
      'require:\n  - probe: [I21, I22, A31]\n    target: dewar*\n',
      /policy held: 3 verdicts/,
    ],
    ['what leaks', 1, 'require:\n  - probe: O05\n    target: dewar\n', /broken: dewar O05 .* LEAK/],
    [
      'what nobody proved',
      2,
      'require:\n  - probe: O29\n    target: dewar\n',
      /not proven: .*O29|not proven: dewar/,
    ],
    [
      'a target that is not there',
      2,
      'require:\n  - probe: I21\n',
      /podman was not judged: .*name its socket/,
    ],
    [
      'a leak that was accepted',
      0,
      'require:\n  - probe: [O05, I21]\n    target: dewar\nexceptions:\n  - probe: O05\n    reason: No secrets in arguments.\n',
      /accepted: dewar O05 LEAK: No secrets in arguments\./,
    ],
    [
      'known to be broken and not proven',
      1,
      'require:\n  - probe: [O05, O29]\n    target: dewar\n',
      /policy BROKEN/,
    ],
  ] as const

  for (const [what, code, text, says] of policies)
    test(`--policy ends with ${code} for ${what}`, async () => {
      const file = path('policy.yaml')
      await writeFile(file, `version: 1\n${text}`)
      const result = await audit('--policy', file, target, NOWHERE)
      assert.equal(result.code, code, told(['dewar audit'], result))
      assert.match(result.stdout, says)
    })

  test('a policy, a selection or a file that is wrong is refused with 2 before anything runs', async () => {
    await writeFile(path('odd.yaml'), 'version: 1\nrequire:\n  - probes: I21\n')
    for (const [words, says] of [
      [['--policy', path('odd.yaml')], /odd\.yaml.*probes/s],
      [['--policy', '/nowhere/p.yaml'], /reading \/nowhere\/p\.yaml failed: ENOENT/],
      [['--direction', 'sideways'], /--direction sideways fits none \(there are: .*across/],
      [['--asset', 'nosuch'], /--asset nosuch fits none \(there are: .*kernel surface/],
      [['--observer', 'root'], /--observer root fits none \(there are: .*determined-root/],
      [['--probe', 'X99'], /--probe X99 fits none \(there are: .*O01/],
      [['--run-args', '--nosuch'], /nosuch/],
      [['--html', '/nowhere/page.html'], /make the folder/],
      [['--html', folder], /it is a folder/],
      [['--limit', '0'], /--limit 0 leaves no time/],
      [['--limit', 'soon'], /--limit/],
      [['--nosuch'], /unknown flag: --nosuch/],
    ] as const) {
      const result = await command([DEWAR, 'audit', ...words, target])
      assert.equal(result.code, 2, told([...words], result))
      assert.match(result.stderr, says)
      assert.doesNotMatch(result.stderr, /Audit of/)
    }
  })

  test('a report that cannot be written whole is shown all the same, and ends with 2', async () => {
    const result = await command([DEWAR, 'audit', '--json', '--probe', 'I21', '--html', '/dev/full', target])
    assert.equal(result.code, 2, told(['--html /dev/full'], result))
    assert.equal((JSON.parse(result.stdout) as Report).results.length, 1)
    assert.match(result.stderr, /writing \/dev\/full failed: ENOSPC/)
    const full = await command(['sh', '-c', `${DEWAR} audit show ${path('a.json')} >/dev/full`])
    assert.equal(full.code, 2, told(['>/dev/full'], full))
    assert.match(full.stderr, /writing the output failed: ENOSPC/)
  })

  test('where nothing could be judged no leak is not what is said', async () => {
    const result = await command([DEWAR, 'audit', '--probe', 'I21', NOWHERE])
    assert.equal(result.code, 2, told([NOWHERE], result))
    assert.doesNotMatch(result.stdout + result.stderr, /No leak was found|It starts containers/)
    assert.match(result.stdout, /Nothing was judged/)
    assert.match(result.stderr, /podman is not here:/)
  })

  test('audit show takes one report', async () => {
    const result = await command([DEWAR, 'audit', 'show', path('a.json'), path('a.json')])
    assert.equal(result.code, 2)
    assert.match(result.stderr, /it takes one/)
  })

  test('audit diff tells what no-new-privileges won, and is silent about itself', async () => {
    const tightened = await audit('--json', '--run-args', '--security-opt no-new-privileges', target)
    assert.equal(tightened.code, 0, told(['dewar audit'], tightened))
    await writeFile(path('tightened.json'), tightened.stdout)
    const diff = (...words: readonly string[]) =>
      command([DEWAR, 'audit', 'diff', '--fail-on-loss', ...words])
    const won = await diff(path('a.json'), path('tightened.json'))
    assert.equal(won.code, 0, told(['diff'], won))
    assert.match(won.stdout, /^won \(\d+\)$/m)
    // A setuid program makes nobody root any more.
    assert.match(won.stdout, /dewar I23 LEAK → CONTAINED/)
    const lost = await diff(path('tightened.json'), path('a.json'))
    assert.equal(lost.code, 1)
    assert.match(lost.stdout, /dewar I23 CONTAINED → LEAK/)
    const same = await diff(path('a.json'), path('a.json'))
    assert.equal(same.code, 0)
    assert.match(same.stdout, /^0 lost, 0 won, 0 no longer proven, 9 verdicts the same$/m)
  })

  test('hostile evidence is shown and never obeyed, in every output', async () => {
    // A path that the guest sees in its mounts (I02), as somebody hostile would choose it.
    const name = `<img src=x onerror=alert(1)>"'\u001b[2J\u202e${'long'.repeat(50)}`
    await mkdir(path(name))
    const files = ['--sarif', path('h.sarif'), '--junit', path('h.xml'), '--html', path('h.html')]
    const quoted = path(name).replace(/["'\\\s]/g, '\\$&')
    const argv = [DEWAR, 'audit', '--probe', 'I02', ...files, '--run-args', `-v ${quoted}:/data`, target]
    const result = await command(argv, { timeout: 600_000 })
    assert.equal(result.code, 0, told(argv, result))
    const [html, xml] = [await readFile(path('h.html'), 'utf8'), await readFile(path('h.xml'), 'utf8')]
    assert.match(html, /&lt;img src=x/)
    assert.match(result.stdout, /\\x1b\[2J/)
    for (const text of [html, xml, result.stdout, result.stderr]) {
      assert.ok(!text.includes('\u001b[2J') && !text.includes('\u202e'))
    }
    for (const text of [html, xml]) assert.ok(!text.includes('<img'))
    await command(['python3', '-c', COUNT_XML, path('h.xml')], { check: true })
    const validate = await sarifValidator()
    assert.ok(validate(JSON.parse(await readFile(path('h.sarif'), 'utf8'))), JSON.stringify(validate.errors))
  })
})
