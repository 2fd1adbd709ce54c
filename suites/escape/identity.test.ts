/**
 * What a process of a container is, as the kernel tells it inside: ids, groups, each set of capabilities, umask, filter,
 * limits, clocks, and what lies in its /dev. The same for the first process and for an exec, for root and for a user.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { capabilityMask, CAPABILITIES } from '../../src/kernel/capabilities.ts'
import type { HostConfig } from '../../src/index.ts'
import { rigForAll, skip } from '../engine/fixture.ts'

const { rig } = rigForAll()

const NONE = '0'.repeat(16)
const hex = (mask: bigint): string => mask.toString(16).padStart(16, '0')
/** What the machine's root has; some machines take capabilities even from root. */
const hosts = BigInt(`0x${/^CapBnd:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`)
const given = (names: readonly string[]): string => hex(capabilityMask(names))
/** Docker's fourteen, as a number: not read from where a mistake could be. */
const DOCKERS = hex(0xa80425fbn)

const STATUS = ['cat', '/proc/self/status']

/** By name, blanks evened out. */
function fieldsOf(status: string): ReadonlyMap<string, string> {
  return new Map(
    status.split('\n').map((line) => {
      const [name = '', rest = ''] = line.split(':')
      return [name, rest.trim().replace(/\s+/g, ' ')]
    }),
  )
}

/** Of a first process and of an exec with the same user and settings. */
async function statuses(
  host: Partial<HostConfig>,
  user = '',
): Promise<readonly (readonly [who: string, status: ReadonlyMap<string, string>])[]> {
  const { output } = await rig().finish({ cmd: STATUS, user }, host)
  const id = await rig().create({ cmd: ['sleep', '60'], user }, host)
  await rig().engine.containers.start(id)
  try {
    const exec = await rig().exec(id, STATUS, { user })
    return [
      ['run', fieldsOf(output)],
      ['exec', fieldsOf(exec.output)],
    ]
  } finally {
    await rig().engine.containers.kill(id, 'SIGKILL')
  }
}

const DROPPED: Partial<HostConfig> = { capDrop: ['ALL'], capAdd: ['NET_BIND_SERVICE'] }
const ROWS: readonly (readonly [string, Partial<HostConfig>, string, Readonly<Record<string, string>>])[] = [
  ['root', {}, '', { CapPrm: DOCKERS, CapBnd: DOCKERS, NoNewPrivs: '0' }],
  [
    'a user',
    {},
    'web',
    {
      Uid: '33 33 33 33',
      Gid: '33 33 33 33',
      Groups: '29 33',
      CapPrm: NONE,
      CapBnd: DOCKERS,
    },
  ],
  [
    'an id of no user',
    {},
    '4321:8765',
    { Uid: '4321 4321 4321 4321', Gid: '8765 8765 8765 8765', Groups: '8765', CapPrm: NONE },
  ],
  [
    'root without all but one capability',
    DROPPED,
    '',
    { CapPrm: given(['CAP_NET_BIND_SERVICE']), CapBnd: given(['CAP_NET_BIND_SERVICE']) },
  ],
  [
    'root with the host’s ids',
    { usernsMode: 'host' },
    '',
    { CapPrm: hex(0xa80425fbn & hosts), CapBnd: hex(0xa80425fbn & hosts) },
  ],
  [
    'root with all capabilities',
    { capAdd: ['ALL'] },
    '',
    { CapPrm: given(CAPABILITIES), CapBnd: given(CAPABILITIES) },
  ],
  [
    'root with no-new-privileges',
    { securityOpt: ['no-new-privileges'] },
    '',
    { CapPrm: DOCKERS, NoNewPrivs: '1' },
  ],
  ['root with more groups', { groupAdd: ['audio', '777'] }, '', { Groups: '0 29 777' }],
]

for (const [title, host, user, wanted] of ROWS)
  test(`a process is ${title}, and nothing more`, { skip }, async () => {
    const expected = {
      ...(user === '' ? { Uid: '0 0 0 0', Gid: '0 0 0 0' } : {}),
      ...(user === '' && host.groupAdd === undefined ? { Groups: '0' } : {}),
      CapInh: NONE, // CVE-2022-24769
      CapAmb: NONE,
      ...('CapPrm' in wanted ? { CapEff: wanted['CapPrm'] } : {}),
      Umask: '0022',
      Seccomp: '2',
      SigBlk: NONE,
      SigIgn: NONE,
      ...wanted,
    }
    for (const [who, status] of await statuses(host, user))
      for (const [name, value] of Object.entries(expected))
        assert.equal(status.get(name), value, `${who}: ${name}`)
  })

test('only unconfined and privileged containers have no filter', { skip }, async () => {
  for (const host of [{ securityOpt: ['seccomp=unconfined'] }, { privileged: true }])
    for (const [who, status] of await statuses(host)) assert.equal(status.get('Seccomp'), '0', who)
})

test('limits and the OOM score are those that were asked for, of an exec too', { skip }, async () => {
  const limits = ['nofile', 'nproc', 'core', 'memlock', 'fsize'].map((name, n) => ({
    name,
    soft: 40 + n,
    hard: 50 + n,
  }))
  const host = { ulimits: limits, oomScoreAdj: 321 }
  const cmd = ['sh', '-c', 'cat /proc/self/limits /proc/self/oom_score_adj']
  const { output } = await rig().finish({ cmd }, host)
  const id = await rig().run(['sleep', '60'], host)
  const exec = await rig().exec(id, cmd)
  await rig().engine.containers.kill(id, 'SIGKILL')
  for (const [who, text] of [
    ['run', output],
    ['exec', exec.output],
  ] as const) {
    for (const [n, words] of [
      'open files',
      'processes',
      'core file size',
      'locked memory',
      'file size',
    ].entries())
      assert.match(text, new RegExp(`^Max ${words}\\s+${40 + n}\\s+${50 + n} `, 'm'), who)
    assert.match(text, /^321$/m, who)
  }
})

test('the clocks begin near nought, in a time namespace of its own', { skip }, async () => {
  const cmd = ['sh', '-c', 'cat /proc/uptime; cat /proc/self/timens_offsets; readlink /proc/self/ns/time']
  const { output } = await rig().finish({ cmd })
  const [uptime = '', ...rest] = output.split('\n')
  const hostUptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
  assert.ok(Number(uptime.split(' ')[0]) < hostUptime / 2, `${uptime} of the host's ${hostUptime}`)
  assert.match(rest.join('\n'), /^monotonic\s+-\d+\s+0\nboottime\s+-\d+\s+0$/m)
})

/** Mode, owner, group and device number of each entry, then where the links lead. */
const LIST = `cd /dev; for f in * pts/ptmx .; do stat -c '%n %A %u:%g %t:%T' $f; done
  for f in fd stdin stdout stderr ptmx; do readlink $f; done`

test('/dev has the nodes that every container has, open to all, and nothing else', { skip }, async () => {
  const { output } = await rig().finish({ cmd: ['sh', '-c', LIST] })
  const node = (name: string, number: string): string => `${name} crw-rw-rw- 0:0 ${number}`
  const link = (name: string): string => `${name} lrwxrwxrwx 0:0 0:0`
  const lines = output.trim().split('\n')
  assert.deepEqual(
    lines.filter((line) => !/^(core|mqueue) /.test(line)),
    [
      link('fd'),
      node('full', '1:7'),
      node('null', '1:3'),
      link('ptmx'),
      'pts drwxr-xr-x 0:0 0:0',
      node('random', '1:8'),
      'shm drwxrwxrwt 0:0 0:0',
      ...['stderr', 'stdin', 'stdout'].map(link),
      node('tty', '5:0'),
      node('urandom', '1:9'),
      node('zero', '1:5'),
      node('pts/ptmx', '5:2'),
      '. drwxr-xr-x 0:0 0:0',
      ...['/proc/self/fd', '/proc/self/fd/0', '/proc/self/fd/1', '/proc/self/fd/2', 'pts/ptmx'],
    ],
  )
})

/** Of the topmost mount there, what its file system was given. */
async function optionsOf(path: string, host: Partial<HostConfig> = {}): Promise<readonly string[]> {
  const { output } = await rig().finish({ cmd: ['cat', '/proc/self/mountinfo'] }, host)
  const line = output.split('\n').findLast((one) => one.split(' ')[4] === path)
  return (line?.split(' ').at(-1) ?? '').split(',')
}

test('/dev, /dev/shm and /dev/pts have their sizes, modes and owners', { skip }, async () => {
  const options = async (path: string, ...wanted: readonly string[]): Promise<void> => {
    const has = await optionsOf(path)
    for (const one of wanted) assert.ok(has.includes(one), `${path} lacks ${one}: ${has.join()}`)
  }
  await options('/dev', 'size=65536k', 'mode=755')
  await options('/dev/shm', 'size=65536k')
  assert.ok((await optionsOf('/dev/shm', { shmSize: 1 << 20 })).includes('size=1024k'))
  const pts = await optionsOf('/dev/pts')
  for (const one of ['mode=620', 'ptmxmode=666']) assert.ok(pts.includes(one), pts.join())
  assert.ok(
    pts.some((one) => /^gid=\d*5$|^gid=\d+$/.test(one)),
    pts.join(),
  )
})

test('of a guest’s /etc/group 512 KiB are read, for an exec too: it holds up nobody', { skip }, async () => {
  // Lines of 64 bytes, 10,000 of them, before the last group.
  const filler = `f${'i'.repeat(54)}:x:1:`
  const script = `(echo early:x:66:web; seq 10000 | while read n; do echo ${filler}; done; echo late:x:77:web) >/etc/group; echo ready; sleep 60`
  const id = await rig().run(['sh', '-c', script])
  try {
    while (!(await rig().logs(id)).includes('ready')) await new Promise((resolve) => setTimeout(resolve, 20))
    const { output } = await rig().exec(id, STATUS, { user: 'web' })
    assert.equal(fieldsOf(output).get('Groups'), '33 66')
    assert.match((await rig().exec(id, ['sh', '-c', 'stat -c %s /etc/group'])).output, /^6\d{5}$/m)
  } finally {
    await rig().engine.containers.kill(id, 'SIGKILL')
  }
})
