/**
 * Each masked and each read-only path of a default container, by what comes of using it inside, and by what comes of
 * trying to undo it there: umount, move, mount over, remount, other views of the same file systems, new namespaces.
 *
 * Seen red inside the test: with `systempaths=unconfined` the same probe reads and writes. What this machine cannot show
 * open is named, and what this kernel does not have is a skipped sub-test with the reason.
 */
import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, test, type TestContext } from 'node:test'
import type { HostConfig } from '../../src/index.ts'
import { rigForAll, skip } from '../engine/fixture.ts'
import { compileC } from '../harness/compile-c.ts'
import { busyboxTree } from '../harness/image-recipes.ts'
import { tarOf } from '../harness/oci-layout.ts'
import { Scope } from '../harness/scope.ts'
import { tempFolder } from '../harness/temp-folder.ts'

const { ENOENT, EROFS, EACCES, EPERM } = constants.errno

const proc = (...names: readonly string[]) => names.map((name) => `/proc/${name}`)
const sys = (...names: readonly string[]) => names.map((name) => `/sys/${name}`)
/** The promise, written down once more: a line that is lost in the engine is missed here. */
const MASKED = [
  ...proc('acpi', 'asound', 'interrupts', 'kcore', 'keys', 'latency_stats', 'sched_debug', 'scsi'),
  ...proc('timer_list', 'timer_stats', 'cmdline', 'diskstats', 'partitions', 'fs', 'key-users', 'kallsyms'),
  ...proc('modules', 'pressure', 'softirqs', 'schedstat', 'irq', 'buddyinfo', 'pagetypeinfo', 'zoneinfo'),
  ...proc('kpagecount', 'kpageflags', 'kpagecgroup', 'slabinfo', 'swaps', 'config.gz', 'bus/pci'),
  ...proc('sys/fs/file-nr', 'sys/fs/inode-nr', 'sys/fs/inode-state', 'sys/fs/dentry-state'),
  ...proc('sys/fs/aio-nr', 'sys/fs/quota'),
  ...sys('firmware', 'block', 'class/block', 'fs/ext4', 'module', 'kernel/irq', 'kernel/slab'),
  ...sys('kernel/vmcoreinfo', 'kernel/uevent_seqnum'),
  ...['powercap', 'dmi', 'thermal', 'hwmon', 'bdi', 'block'].map((name) => `/sys/devices/virtual/${name}`),
]
const READ_ONLY = proc('bus', 'fs', 'irq', 'sys', 'sysrq-trigger')
/** Files and folders of them: settings of the host, of the container's own network, and places to make something in. */
const BELOW = [
  ...READ_ONLY,
  ...proc('sys/kernel', 'sys/vm', 'sys/fs', 'sys/net', 'sys/net/ipv4'),
  ...proc('sys/kernel/core_pattern', 'sys/kernel/modprobe', 'sys/kernel/panic', 'sys/vm/overcommit_memory'),
  ...proc('sys/net/ipv4/ip_forward', 'sys/net/ipv4/conf/lo/forwarding', 'sys/kernel/shmmax'),
]
/** Of the container's own namespaces: with CAP_NET_ADMIN its root could write them but for the mount. */
const OWN_SETTINGS = proc('sys/net/ipv4/ip_forward', 'sys/net/ipv4/conf/lo/forwarding', 'sys/kernel/shmmax')
const UNCONFINED: Partial<HostConfig> = { securityOpt: ['systempaths=unconfined'] }

const { rig } = rigForAll()
const scope = new Scope()
let made: Promise<string> | undefined
/** An image with the probe, made once. */
const image = (): Promise<string> => (made ??= makeImage())

async function makeImage(): Promise<string> {
  const { path } = scope.use(await tempFolder('unmask'))
  const content = await readFile(await compileC('escape/unmask.c', join(path, 'unmask')))
  const tar = await tarOf([...busyboxTree(), { name: 'unmask', content }])
  const onProgress = (): void => undefined
  const changes = ['ENV PATH=/bin']
  await rig().engine.images.import(Readable.from([tar]), { reference: 'unmask', changes, onProgress })
  return 'unmask'
}
after(async () => scope[Symbol.asyncDispose]())

/** The second from a user namespace of its own, where it has all capabilities, if it can make one. */
type Attack = 'attack' | 'attack-from-below'
type Answers = ReadonlyMap<string, number>

/** What the probe says, `WORD:PATH` → number. */
async function unmask(what: 'look' | Attack, host: Partial<HostConfig>): Promise<Answers> {
  const cmd = ['/unmask', what, ...MASKED, '--', ...BELOW]
  const { code, output } = await rig().finish({ image: await image(), cmd }, host)
  assert.equal(code, 0, output)
  const lines = output.trim().split('\n')
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf(' ')), Number(line.slice(line.indexOf(' ') + 1))]),
  )
}

/** One sub-test per path; those that are nowhere on this machine are skipped with the reason. */
async function each(t: TestContext, paths: readonly string[], check: (path: string) => void): Promise<void> {
  for (const path of paths) {
    const absent = existsSync(path) ? false : `this kernel (or machine) has no ${path}`
    await t.test(path, { skip: absent }, () => check(path))
  }
}

const pathsWhere = (answers: Answers, word: string, paths: readonly string[], ok: (n: number) => boolean) =>
  paths.filter((path) => existsSync(path) && ok(answers.get(`${word}:${path}`) ?? Number.NaN))

test('a default container has the masks and read-only paths that are promised', { skip }, async () => {
  const id = await rig().create({ cmd: ['true'] })
  const { hostConfig } = await rig().engine.containers.inspect(id, { size: false })
  const shown = hostConfig.maskedPaths ?? []
  assert.deepEqual(
    MASKED.filter((path) => !shown.includes(path)),
    [],
  )
  assert.equal(new Set(MASKED).size, MASKED.length)
})

test('what is masked gives nothing, and what is read-only takes nothing', { skip }, async (t) => {
  const closed = await unmask('look', {})
  const open = await unmask('look', { ...UNCONFINED, capAdd: ['NET_ADMIN'] })
  await t.test('masked', async (masked) =>
    each(masked, MASKED, (path) => assertNothing(closed, 'read', path)),
  )
  await t.test('read-only', async (readonly) =>
    each(readonly, BELOW, (path) => assert.equal(closed.get(`write:${path}`), EROFS)),
  )
  const read = pathsWhere(open, 'read', MASKED, (count) => count > 0)
  const other = pathsWhere(open, 'read', MASKED, (count) => !(count > 0))
  t.diagnostic(`not shown open on this machine: ${other.join(', ')}`)
  assert.ok(read.length > other.length, `unmasked, the same probe reads only ${read.join(', ')}`)
  assert.deepEqual(
    pathsWhere(open, 'write', BELOW, (errno) => errno === EROFS),
    [],
  )
  for (const path of OWN_SETTINGS) assert.equal(open.get(`write:${path}`), 0, `${path} without protection`)
})

for (const how of ['attack', 'attack-from-below'] as const)
  test(`what is masked or read-only stays so, whatever is tried inside: ${how}`, { skip }, async (t) => {
    const tried = await unmask(how, {})
    const attempts = [...tried].filter(([word]) => !/^(read|write)/.test(word))
    assert.ok(attempts.length > 8 * MASKED.length, `${attempts.length} attempts`)
    assert.deepEqual(
      attempts.filter(([, errno]) => errno === 0),
      [],
    )
    await assertHeld(t, tried)
  })

async function assertHeld(t: TestContext, tried: Answers): Promise<void> {
  const seen = [...tried].filter(([word, count]) => /^read-(through|cloned):/.test(word) && count > 0)
  assert.deepEqual(seen, [])
  // What is nowhere on this machine was told above, once.
  const [masks, below] = [MASKED, BELOW].map((paths) => paths.filter((path) => existsSync(path)))
  await t.test('masked', async (masked) =>
    each(masked, masks ?? [], (path) => assertNothing(tried, 'read-after', path)),
  )
  await t.test('read-only', async (readonly) =>
    each(readonly, below ?? [], (path) => assert.equal(tried.get(`write-after:${path}`), EROFS)),
  )
}

function assertNothing(answers: Answers, word: string, path: string): void {
  const count = answers.get(`${word}:${path}`)
  // A path below one that is hidden as a whole is not there at all.
  assert.ok(count === 0 || count === -ENOENT, `${word} ${path} gives ${count}`)
}

/**
 * As with Docker, CAP_SYS_ADMIN is the right to mount: whoever has it takes the covers off. What stands then is that
 * root inside is nobody outside. THREATS.md says so.
 */
test('with CAP_SYS_ADMIN masks come off, and what is only root’s stays closed', { skip }, async () => {
  const tried = await unmask('attack', { capAdd: ['SYS_ADMIN'] })
  const uncovered = pathsWhere(tried, 'read-after', MASKED, (count) => count > 0)
  assert.ok(uncovered.includes('/proc/zoneinfo'), 'if this holds now, say so in THREATS.md')
  assert.deepEqual(
    uncovered.filter((path) => (statSync(path).mode & 0o004) === 0),
    [],
  )
  const settings = BELOW.filter((path) => !OWN_SETTINGS.includes(path) && existsSync(path))
  for (const path of settings)
    assert.ok([EACCES, EPERM, EROFS].includes(tried.get(`write-after:${path}`) ?? 0), path)
})

test('with CAP_SYS_ADMIN nothing comes off from a user namespace below', { skip }, async (t) => {
  const tried = await unmask('attack-from-below', { capAdd: ['SYS_ADMIN'] })
  assert.equal(tried.get('unshare:user'), 0)
  await assertHeld(t, tried)
})

test('--privileged lifts masks and read-only paths, as with Docker', { skip }, async () => {
  const open = await unmask('look', { privileged: true })
  const hidden = pathsWhere(open, 'read', MASKED, (count) => count <= 0)
  const unconfined = await unmask('look', { ...UNCONFINED, usernsMode: 'host' })
  assert.deepEqual(
    hidden,
    pathsWhere(unconfined, 'read', MASKED, (count) => count <= 0),
  )
  assert.deepEqual(
    pathsWhere(open, 'write', BELOW, (errno) => errno === EROFS),
    [],
  )
  assert.equal(open.get('write:/proc/sys/kernel/core_pattern'), 0)
  for (const lists of [{ maskedPaths: [], readonlyPaths: [] }, UNCONFINED]) {
    const answers = await unmask('look', lists)
    for (const path of proc('zoneinfo', 'swaps', 'sys/fs/file-nr'))
      assert.ok((answers.get(`read:${path}`) ?? 0) > 0, path)
  }
})
