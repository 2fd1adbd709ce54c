/**
 * Images that are traps: everything an engine touches while it prepares a root filesystem is a link to a canary folder
 * of the host, or something that hangs or overflows. The canary must stay as it is, and the engine must go on.
 *
 * Seen red: the same image unpacked, and touched by paths as a naive engine would, does change its canary.
 */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { command } from '../harness/command.ts'
import { busyboxTree } from '../harness/image-recipes.ts'
import { tarOf, type Member } from '../harness/oci-layout.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { startSide, type RunningSide } from '../harness/start-side.ts'
import { mountsUnder, tempFolder } from '../harness/temp-folder.ts'
import { parseAnswer, probeImage } from './probe.ts'

const KIND = process.env['DEWAR_ESCAPE'] === 'dockerd' ? 'dockerd' : 'dewar'
const needs = missing('musl-gcc', 'docker', 'docker-registry', 'skopeo', 'busybox', 'unshare')

/** What becomes a link, and the flags with which the engine will touch it. */
const TRAPS: readonly (readonly [path: string, flags?: readonly string[]])[] = [
  ['proc'],
  ['sys'],
  ['dev'],
  ['dev/null'],
  ['dev/pts'],
  ['dev/shm'],
  ['dev/console', ['-t']],
  ['dev/mqueue'],
  ['etc'],
  ['etc/hosts'],
  ['etc/hostname'],
  ['etc/resolv.conf'],
  ['etc/mtab'],
  ['data', ['-v', '/data']],
  ['data', ['-v', 'VOLUME:/data']],
  ['data', ['-v', 'BIND:/data']],
  ['data', ['--tmpfs', '/data']],
  ['data/deep', ['-v', 'BIND:/data/deep']],
  ['work', ['-w', '/work']],
  ['work', ['-w', '/work/new/deep']],
  ['sys/fs/cgroup'],
  ['proc/self'],
  ['sbin/docker-init', ['--init']],
  ['run'],
]

describe('hostile images', { skip: needs, concurrency: 1 }, () => {
  const scope = new Scope()
  let side: RunningSide | undefined
  let folder = ''
  let canary = ''
  let images = 0
  const server = () => {
    assert.ok(side)
    return side.server
  }

  before(async () => {
    folder = scope.use(await tempFolder('hostile')).path
    canary = join(folder, 'canary')
    await mkdir(canary)
    await mkdir(join(folder, 'bind'))
    side = await startSide(KIND, scope)
    await side.registry.push(await probeImage(folder))
    await server().docker('pull', '--quiet', '127.0.0.1:5000/probe')
    await server().docker('tag', '127.0.0.1:5000/probe', 'probe')
  })
  after(async () => scope[Symbol.asyncDispose]())

  /** Pushes an image and pulls it into the engine; its name there. */
  async function imageOf(
    members: readonly Member[],
    config: Readonly<Record<string, unknown>> = {},
  ): Promise<string> {
    assert.ok(side)
    const name = `trap${images++}`
    const env = { Env: ['PATH=/bin'], Cmd: ['sh'] }
    await side.registry.push({ name: `${name}:latest`, layers: [{ members }], config: { ...env, ...config } })
    await side.server.docker('pull', '--quiet', `127.0.0.1:5000/${name}`)
    return `127.0.0.1:5000/${name}`
  }

  async function plantCanary(): Promise<string> {
    await command(['sh', '-c', `rm -rf '${canary}'; mkdir '${canary}'; echo untouched > '${canary}/file'`], {
      check: true,
    })
    await writeFile(join(folder, 'canary-file'), 'untouched\n')
    return fingerprint()
  }

  /** Names, types, sizes, owners, times of the canary and below, and what is mounted on it. */
  async function fingerprint(): Promise<string> {
    const list = await command(
      ['find', canary, join(folder, 'canary-file'), '-printf', '%p %y %s %U %m %T@\n'],
      { check: true },
    )
    return `${list.stdout}${(await mountsUnder(canary)).join('\n')}`
  }

  for (const [path, flags = []] of TRAPS)
    for (const style of ['absolute', 'relative'] as const)
      test(`a link at /${path} leads nowhere (${style}${flags.length > 0 ? `, ${flags.join(' ')}` : ''})`, async () => {
        const before = await plantCanary()
        const up = '../'.repeat(20)
        const target = style === 'absolute' ? canary : `${up}${canary.slice(1)}`
        const image = await imageOf(trapTree(path, target))
        const real = flags.map((flag) =>
          flag.replace('BIND', join(folder, 'bind')).replace('VOLUME', `vol${images}`),
        )
        const argv = [
          'docker',
          'run',
          '--rm',
          ...real,
          image,
          'sh',
          '-c',
          'echo inside > /data/x; echo inside > /work/x; true',
        ]
        const result = await server().run(argv, { timeout: 120_000 })
        assert.equal(result.timedOut, false, 'it hangs')
        assert.equal(await fingerprint(), before, `${result.stderr}`)
        assert.deepEqual(
          await readdir(join(folder, 'bind')).then((names) => names.filter((name) => name !== 'x')),
          [],
        )
      })

  test('the traps work: touched by path, the canary changes', async () => {
    const before = await plantCanary()
    const tree = join(folder, 'tree')
    await mkdir(tree)
    await command(['tar', 'xf', '-', '-C', tree], {
      input: await tarOf(trapTree('etc', canary)),
      check: true,
    })
    await writeFile(join(tree, 'etc', 'hosts'), 'naive')
    assert.notEqual(await fingerprint(), before)
  })

  for (const fd of [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 20])
    test(`WORKDIR=/proc/self/fd/${fd} leads nowhere (CVE-2024-21626)`, async () => {
      await plantCanary()
      const flags = ['-w', `/proc/self/fd/${fd}`]
      const run = await server().run(
        ['docker', 'run', '--rm', ...flags, 'probe', '/probe', 'look', join(canary, 'file')],
        { timeout: 120_000 },
      )
      assert.doesNotMatch(run.stdout, /reached/)
    })

  test('exec with such a working directory leads nowhere either', async () => {
    await plantCanary()
    const id = await server().docker('run', '-d', 'probe', 'sleep', '60')
    for (let fd = 3; fd < 16; fd++) {
      const argv = ['docker', 'exec', '-w', `/proc/self/fd/${fd}`, id, '/probe', 'look', join(canary, 'file')]
      assert.doesNotMatch(
        (await server().run(argv, { timeout: 120_000 })).stdout,
        /reached/,
        `descriptor ${fd}`,
      )
    }
    await server().docker('rm', '-f', id)
  })

  test('the look-out works: with a descriptor of the host’s root as working directory it reaches the canary', async () => {
    await plantCanary()
    const tree = join(folder, 'look-tree')
    await mkdir(join(tree, 'proc'), { recursive: true })
    const script = `cp '${join(folder, 'probe')}' '${tree}/probe'; mount -t proc proc '${tree}/proc'; exec 9</; exec chroot '${tree}' /probe look-from /proc/self/fd/9 '${join(canary, 'file')}'`
    const red = await command(
      ['unshare', '--mount', '--pid', '--fork', '--propagation', 'private', 'sh', '-c', script],
      { check: true },
    )
    assert.match(parseAnswer(red.stdout).get('canary') ?? '', /^reached-by/)
  })

  for (const [user, why] of [
    ['4294967296', 'is above the range of ids and must not become root'],
    ['4294967295', 'is the id that means none'],
    ['-1', 'is negative'],
    ['0x0', 'is no decimal number'],
    ['18446744073709551616', 'overflows'],
  ] as const)
    test(`USER ${user} ${why}`, async () => {
      const image = await imageOf(busyboxTree(), { User: user })
      const result = await server().run(['docker', 'run', '--rm', image, 'id', '-u'], { timeout: 120_000 })
      assert.notEqual(result.stdout.trim(), '0')
      assert.notEqual(result.code, 0)
      assert.match(result.stderr, /user|uid/i)
    })

  test('a FIFO as /etc/passwd does not hang the engine', async () => {
    const tree = busyboxTree().filter(({ name }) => name !== 'etc/passwd' && name !== 'etc/group')
    const fifo = (name: string): Member => ({ name, type: 'fifo', mode: 0o644 })
    const image = await imageOf([...tree, fifo('etc/passwd'), fifo('etc/group')])
    for (const user of ['root', '0', '1000:1000', 'nosuch']) {
      const result = await server().run(['docker', 'run', '--rm', '-u', user, image, 'true'], {
        timeout: 15_000,
      })
      assert.equal(result.timedOut, false, `-u ${user} hangs`)
    }
    await server().docker('run', '--rm', 'probe', 'true')
  })

  for (const [name, entry] of [
    ['a folder', { name: 'etc/passwd/', type: 'directory' }],
    ['a device', { name: 'etc/passwd', type: 'character-device', devmajor: 1, devminor: 5 }],
    ['a link to itself', { name: 'etc/passwd', type: 'symlink', linkname: 'passwd' }],
    ['100 MB of zeros', { name: 'etc/passwd', content: Buffer.alloc(100e6) }],
  ] as const satisfies readonly (readonly [string, Member])[])
    test(`${name} as /etc/passwd does no harm`, async () => {
      const image = await imageOf([...busyboxTree().filter((member) => member.name !== 'etc/passwd'), entry])
      const result = await server().run(['docker', 'run', '--rm', '-u', 'nosuch', image, 'true'], {
        timeout: 25_000,
      })
      assert.equal(result.timedOut, false)
      assert.notEqual(result.code, 0)
      await server().docker('run', '--rm', 'probe', 'true')
    })

  test('a volume’s first filling does not follow links out of the image', async () => {
    await plantCanary()
    const image = await imageOf([...busyboxTree(), { name: 'data', type: 'symlink', linkname: canary }], {
      Volumes: { '/data': {} },
    })
    const result = await server().run(['docker', 'run', '--rm', image, 'sh', '-c', 'cat /data/file'], {
      timeout: 120_000,
    })
    assert.doesNotMatch(result.stdout, /untouched/)
  })

  test('the engine still works after all of this', async () => {
    assert.equal(await server().docker('run', '--rm', 'probe', 'echo', 'fine'), 'fine')
    assert.equal((await readFile(join(folder, 'canary-file'), 'utf8')).trim(), 'untouched')
    assert.ok((await stat(canary)).isDirectory())
  })
})

/** Busybox, with a link in the place of `path`. Where a folder above it is in the way it is kept. */
function trapTree(path: string, target: string): Member[] {
  const clean = busyboxTree().filter(({ name }) => {
    const bare = name.replace(/\/$/, '')
    return bare !== path && !bare.startsWith(`${path}/`)
  })
  const above = path.split('/').slice(0, -1)
  const folders = above.map((_, index): Member => ({
    name: `${above.slice(0, index + 1).join('/')}/`,
    type: 'directory',
  }))
  const extra = folders.filter(({ name }) => !clean.some((member) => member.name === name))
  return [...clean, ...extra, { name: path, type: 'symlink', linkname: target, mode: 0o777 }]
}
