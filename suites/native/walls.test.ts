/** The core's own walls, by plans that try to leave: images meet most of them behind another one. */
import assert from 'node:assert/strict'
import { constants, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startCore } from '../../src/kernel/core.ts'
import type { Step } from '../../src/kernel/plan.ts'
import { PlanFailed } from '../../src/kernel/plan-failed.ts'
import { PROJECT } from '../harness/project.ts'
import { tempFolder } from '../harness/temp-folder.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root: run `sudo npm test`'
const NEW_PID_AND_MOUNTS = 0x2002_0000
const PRIVATE = 0x4_4000
/** Static, so that it would start without anything else of the host's. */
const PROGRAM = join(PROJECT, 'native/build/dewar-core')

test('no link leads a path of a step out of its slot', { skip }, async () => {
  await using folder = await tempFolder('walls')
  await using core = await startCore({ runDir: folder.path })
  const [root, canary] = [join(folder.path, 'slot'), join(folder.path, 'canary')]
  for (const path of [root, canary, join(root, 'real')]) mkdirSync(path)
  symlinkSync(canary, join(root, 'absolute'))
  symlinkSync('../canary', join(root, 'relative'))
  symlinkSync(`/proc/${process.pid}/cwd`, join(root, 'magic'))
  symlinkSync('/real', join(root, 'inside'))
  const make = (link: string) =>
    core.run({
      steps: [
        { actor: 'host', op: 'open', path: root, slot: 0, flags: constants.O_DIRECTORY },
        { actor: 'host', op: 'mkdir', at: 0, path: `/${link}/made`, mode: 0o700 },
      ],
    })
  for (const link of ['absolute', 'relative', 'magic'])
    await assert.rejects(make(link), { errno: 'ENOENT' }, link)
  assert.deepEqual(readdirSync(canary), [])
  await make('inside')
  assert.deepEqual(readdirSync(join(root, 'real')), ['made'])
})

/** A descriptor of the host's root in slot 0, and a root with nothing but /proc. */
const pivoted = (folder: string): Step[] => [
  { actor: 'host', op: 'clone', flags: NEW_PID_AND_MOUNTS },
  { actor: 'guest', op: 'propagation', flags: PRIVATE },
  { actor: 'guest', op: 'open', path: '/', slot: 0, flags: constants.O_DIRECTORY },
  { actor: 'guest', op: 'fsmount', slot: 1, type: 'tmpfs', options: [], attrs: 0 },
  { actor: 'guest', op: 'fsmount', slot: 2, type: 'proc', options: [], attrs: 0 },
  { actor: 'guest', op: 'mkdir', at: 1, path: '/proc', mode: 0o755 },
  { actor: 'guest', op: 'attach-mount', path: folder, slot: 1, create: false },
  { actor: 'guest', op: 'attach-mount', at: 1, path: '/proc', slot: 2, create: false },
  { actor: 'guest', op: 'pivot', slot: 1 },
]

/** Why no program of the host starts behind these steps; undefined when it does. */
async function refusal(folder: string, program: string, more: readonly Step[]): Promise<string | undefined> {
  await using core = await startCore({ runDir: folder })
  const exec: Step = { actor: 'guest', op: 'exec', argv: [program], env: [], init: false }
  const runDir = join(folder, 'c')
  mkdirSync(runDir, { recursive: true })
  const options = { runDir, tty: false, stdin: false, stdinOnce: false, expectAttach: 0 }
  try {
    const shim = await core.launch({ steps: [...more, exec] }, options)
    await shim.exited
    return undefined
  } catch (error) {
    assert.ok(error instanceof PlanFailed)
    return error.errno
  }
}

test('no descriptor leads the working directory out of the root (CVE-2024-21626)', { skip }, async () => {
  await using folder = await tempFolder('walls')
  const refusals = new Set<string>()
  for (let fd = 3; fd < 24; fd++) {
    const chdir: Step = { actor: 'guest', op: 'chdir', path: `/proc/self/fd/${fd}`, create: false }
    const why = await refusal(folder.path, `.${PROGRAM}`, [...pivoted(folder.path), chdir])
    assert.ok(why !== undefined, `descriptor ${fd}`)
    refusals.add(why)
  }
  assert.ok(refusals.has('EXDEV'), `where one leads out, that is said: ${[...refusals].join()}`)
})

test('nothing of the old root is in reach after the pivot', { skip }, async () => {
  await using folder = await tempFolder('walls')
  const steps = pivoted(folder.path)
  for (const path of [PROGRAM, `/..${PROGRAM}`, `/proc/1/root/..${PROGRAM}`])
    assert.ok((await refusal(folder.path, path, steps)) !== undefined, path)
  const outside = await refusal(folder.path, `/..${PROGRAM}`, steps.slice(0, 2))
  assert.equal(outside, undefined, 'with no new root it starts')
})
