/** The core's own walls, by plans that try to leave: images meet most of them behind another one. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { constants, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startCore } from '../../src/kernel/core.ts'
import type { Core, Shim } from '../../src/kernel/core-api.ts'
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

test(
  'no folder is made through a descriptor on the way to a working directory (CVE-2024-21626)',
  { skip },
  async () => {
    await using folder = await tempFolder('walls')
    const canary = join(folder.path, 'canary')
    mkdirSync(canary)
    const open: Step = { actor: 'host', op: 'open', path: canary, slot: 3, flags: constants.O_DIRECTORY }
    for (let fd = 3; fd < 24; fd++) {
      const path = `/proc/self/fd/${fd}/made`
      const chdir: Step = { actor: 'guest', op: 'chdir', path, create: true }
      const why = await refusal(folder.path, `.${PROGRAM}`, [open, ...pivoted(folder.path), chdir])
      assert.ok(why !== undefined, `descriptor ${fd}`)
    }
    assert.deepEqual(readdirSync(canary), [])
  },
)

test('nothing of the old root is in reach after the pivot', { skip }, async () => {
  await using folder = await tempFolder('walls')
  const steps = pivoted(folder.path)
  for (const path of [PROGRAM, `/..${PROGRAM}`, `/proc/1/root/..${PROGRAM}`])
    assert.ok((await refusal(folder.path, path, steps)) !== undefined, path)
  const outside = await refusal(folder.path, `/..${PROGRAM}`, steps.slice(0, 2))
  assert.equal(outside, undefined, 'with no new root it starts')
})

/** From these on a process has the rights of those inside, but still the core's program and descriptors. */
const WEAK: Step = { actor: 'guest', op: 'caps', bounding: 0n, held: 0n }
const PATH = ['PATH=/usr/bin:/bin']
const STREAMS = { tty: false, stdin: false, stdinOnce: false, expectAttach: 0 }
const SIBLING: Step = { actor: 'guest', op: 'sibling', flags: 0 }

/** A container whose first process looks into the core's that appears beside it, and what it saw. */
async function lookedInto(
  by: (core: Core, shim: Shim, last: readonly Step[]) => Promise<unknown>,
): Promise<string> {
  await using folder = await tempFolder('walls')
  await using core = await startCore({ runDir: folder.path })
  const at = (name: string): string => join(folder.path, name)
  writeFileSync(at('marker'), '')
  execFileSync('mkfifo', [at('fifo')])
  mkdirSync(at('c'))
  const look = 'readlink $p/exe && echo seen exe; readlink $p/fd/3 && echo seen fd'
  const guest = `until [ -s ${at('marker')} ]; do sleep 0.05; done
    for p in /proc/[0-9]*; do case $(cat $p/comm) in dewar*) echo found; ${look};; esac; done 2>/dev/null
    echo >${at('fifo')}; sleep 60`
  const steps: Step[] = [
    { actor: 'host', op: 'clone', flags: NEW_PID_AND_MOUNTS },
    { actor: 'guest', op: 'propagation', flags: PRIVATE },
    { actor: 'guest', op: 'fsmount', slot: 0, type: 'proc', options: [], attrs: 0 },
    { actor: 'guest', op: 'attach-mount', slot: 0, path: '/proc', create: false },
    WEAK,
    { actor: 'guest', op: 'exec', argv: ['sh', '-c', guest], env: PATH, init: false },
  ]
  const log = { path: at('log'), maxSize: 0, maxFiles: 1 }
  const shim = await core.launch({ steps }, { ...STREAMS, runDir: at('c'), log })
  await by(core, shim, [
    WEAK,
    { actor: 'guest', op: 'write', path: at('marker'), data: 'here' },
    { actor: 'guest', op: 'open', path: at('fifo'), slot: 1, flags: constants.O_RDONLY },
  ])
  await shim.signal(9)
  await shim.exited
  return readFileSync(log.path, 'utf8')
}

test('an exec cannot be looked into before it is the command (CVE-2016-9962)', { skip }, async () => {
  const said = await lookedInto((_, shim, last) => {
    const steps: Step[] = [
      { actor: 'host', op: 'clone', flags: 0 },
      { actor: 'guest', op: 'setns', slot: 255, flags: NEW_PID_AND_MOUNTS },
      SIBLING,
      ...last,
      { actor: 'guest', op: 'exec', argv: ['true'], env: PATH, init: false },
    ]
    return shim.exec({ steps }, STREAMS)
  })
  assert.match(said, /found/)
  assert.doesNotMatch(said, /seen/)
})

test('a copy of files that joins a container cannot be looked into either', { skip }, async () => {
  const said = await lookedInto((core, { pid }, last) => {
    const [ofPids, ofMounts] = [2, 3]
    const steps: Step[] = [
      { actor: 'host', op: 'open', path: `/proc/${pid}/ns/pid`, slot: ofPids, flags: 0 },
      { actor: 'host', op: 'open', path: `/proc/${pid}/ns/mnt`, slot: ofMounts, flags: 0 },
      { actor: 'host', op: 'clone', flags: 0 },
      { actor: 'guest', op: 'setns', slot: ofPids, flags: 0 },
      SIBLING,
      { actor: 'guest', op: 'setns', slot: ofMounts, flags: 0 },
      ...last,
    ]
    return core.run({ steps })
  })
  assert.match(said, /found/)
  assert.doesNotMatch(said, /seen/)
})

/** add_key and keyctl, and numbers of <linux/keyctl.h>. */
const [ADD_KEY, KEYCTL] = process.arch === 'x64' ? [248, 250] : [217, 219]
const [GET_KEYRING_ID, SEARCH, SET_TIMEOUT, SESSION] = [0, 10, 15, -3]

test('a key of one container’s session is found by its own processes and by no other', { skip }, async () => {
  await using folder = await tempFolder('walls')
  await using core = await startCore({ runDir: folder.path })
  const key = `($type, $name, $data) = ("user", "dwt-${process.pid}", "secret");`
  const search = `perl -e '${key} print syscall(${KEYCTL}, ${SEARCH}, ${SESSION}, $type, $name, 0) > 0 ? "found " : "none "'`
  // By the keyring's number: to SESSION itself a session would be made, where there is none.
  const add = `perl -e '${key} $ring = syscall(${KEYCTL}, ${GET_KEYRING_ID}, ${SESSION}, 0);
    $id = syscall(${ADD_KEY}, $type, $name, $data, 6, $ring); syscall(${KEYCTL}, ${SET_TIMEOUT}, $id, 60); print $id > 0 ? "kept " : $!'`
  const begin = async (id: string, script: string): Promise<{ shim: Shim; said: () => string }> => {
    const runDir = join(folder.path, id)
    mkdirSync(runDir)
    const log = { path: join(runDir, 'log'), maxSize: 0, maxFiles: 1 }
    const steps: Step[] = [
      { actor: 'host', op: 'clone', flags: NEW_PID_AND_MOUNTS },
      WEAK,
      { actor: 'guest', op: 'exec', argv: ['sh', '-c', script], env: PATH, init: false },
    ]
    const shim = await core.launch({ steps }, { ...STREAMS, runDir, log })
    return { shim, said: () => readFileSync(log.path, 'utf8') }
  }
  const fifo = join(folder.path, 'fifo')
  execFileSync('mkfifo', [fifo])
  // Alive until somebody writes: a session's keys go with its last process.
  const owner = await begin('owner', `${add}; ${search}; echo; cat ${fifo}`)
  while (!/found|none/.test(owner.said())) await new Promise((resolve) => setTimeout(resolve, 10))
  const other = await begin('other', `${search}; echo`)
  await other.shim.exited
  writeFileSync(fifo, '')
  await owner.shim.exited
  assert.match(owner.said(), /kept found/)
  assert.match(other.said(), /none/)
})
