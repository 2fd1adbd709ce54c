/** The decoder of plans takes any bytes without a fault: a corpus and a bounded run of mutations under sanitizers. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodePlan } from '../../src/kernel/encode.ts'
import type { Plan } from '../../src/kernel/plan.ts'

const RUNS_PER_FILE = 60_000

const corpus: readonly Plan[] = [
  { steps: [] },
  {
    steps: [
      { actor: 'host', op: 'write', path: '/a', data: 'x' },
      { actor: 'host', op: 'clone', flags: 0x2000_0000 },
      { actor: 'parent', op: 'idmap', uid: '0 1 1\n', gid: '0 1 1\n' },
      {
        actor: 'parent',
        op: 'fsmount',
        slot: 1,
        type: 'overlay',
        attrs: 1,
        options: [['lowerdir+', { slot: 2 }], ['upperdir', '/u'], ['ro']],
      },
      {
        actor: 'parent',
        op: 'netlink',
        protocol: 0,
        data: Buffer.alloc(64),
        pidAt: [4, 8],
        ignore: [17],
        why: 'x',
      },
      { actor: 'guest', op: 'user', uid: 0, gid: 0, groups: [1, 2, 3] },
      { actor: 'guest', op: 'exec', argv: ['sh', '-c', 'true'], env: ['A=b'], init: false },
      { actor: 'after', op: 'rmdir', path: '/c' },
    ],
  },
]

test('plan_decode takes any bytes without reading past them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dewar-fuzz-'))
  try {
    const program = join(folder, 'plan-fuzz')
    const flags = ['-std=gnu11', '-g', '-O1', '-Wall', '-Wextra', '-Werror', '-fsanitize=address,undefined']
    execFileSync('cc', [
      ...flags,
      '-fno-sanitize-recover=all',
      '-o',
      program,
      'suites/native/fuzz-plan.c',
      'native/plan.c',
    ])
    const files = corpus.map((plan, i) => {
      const file = join(folder, `plan-${i}`)
      writeFileSync(file, encodePlan(plan))
      return file
    })
    const out = execFileSync(program, ['20261123', String(RUNS_PER_FILE), ...files], { encoding: 'utf8' })
    const accepted = Number(/accepted (\d+)/.exec(out)?.[1])
    // The untouched ones are good, and not everything is: otherwise the run shows nothing.
    assert.ok(accepted >= corpus.length && accepted < RUNS_PER_FILE, out)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
