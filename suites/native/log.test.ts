/** The log that a shim writes: rotation, and what each line has besides. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startCore } from '../../src/kernel/core.ts'
import type { Core, LogOptions, ShimOptions } from '../../src/kernel/core-api.ts'
import type { Plan } from '../../src/kernel/plan.ts'

const NEW_PID = 0x2000_0000
const folder = mkdtempSync('/tmp/dwt-log-')
let core: Core

before(async () => {
  // asan.test.ts runs this file again with the sanitized build.
  const program = process.env['DEWAR_TEST_CORE']
  core = await startCore({ runDir: folder, ...(program === undefined ? {} : { program }) })
})
after(async () => {
  await core[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

/** Runs a script to its end, its output logged to `log.path`. */
async function logged(script: string, log: LogOptions): Promise<void> {
  const runDir = `${log.path}.run`
  mkdirSync(runDir)
  const plan: Plan = {
    steps: [
      { actor: 'host', op: 'clone', flags: NEW_PID },
      { actor: 'guest', op: 'exec', argv: ['sh', '-c', script], env: ['PATH=/usr/bin:/bin'], init: false },
    ],
  }
  const options: ShimOptions = { runDir, tty: false, stdin: false, stdinOnce: false, expectAttach: 0, log }
  await (
    await core.launch(plan, options)
  ).exited
}

const linesOf = (path: string): string[] => readFileSync(path, 'utf8').split('\n').filter(Boolean)
const textOf = (line: string): string => (JSON.parse(line) as { log: string }).log

test('the log is rotated by size and keeps the newest files', async () => {
  const path = join(folder, 'rotated')
  await logged('i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done', {
    path,
    maxSize: 8192,
    maxFiles: 3,
  })
  const lines = [`${path}.2`, `${path}.1`, path].flatMap(linesOf).map(textOf)
  assert.equal(existsSync(`${path}.3`), false)
  assert.equal(lines.at(-1), 'line 399\n')
  const first = Number(/\d+/.exec(lines[0] ?? '')?.[0])
  assert.deepEqual(
    lines,
    Array.from({ length: 400 - first }, (_, i) => `line ${first + i}\n`),
  )
})

test('each line of the log has the attributes, however large, and rotation counts them', async () => {
  const path = join(folder, 'attributed')
  const attributes = JSON.stringify({ a: 'x'.repeat(300_000), b: '"' })
  await logged('for i in 1 2 3 4; do echo $i; done; echo five >&2', {
    path,
    maxSize: 500_000,
    maxFiles: 5,
    attributes,
  })
  const lines = [`${path}.2`, `${path}.1`, path].flatMap(linesOf)
  assert.deepEqual(lines.map(textOf).sort(), ['1\n', '2\n', '3\n', '4\n', 'five\n'])
  for (const line of lines) {
    const at = line.indexOf(`"attrs":${attributes},"time":"2`)
    assert.match(line.slice(0, at), /^\{"log":"\w+\\n","stream":"std(out|err)",$/)
  }
})
