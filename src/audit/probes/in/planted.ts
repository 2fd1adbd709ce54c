/** Canaries that the host plants where a guest must not find them: its log, keys, processes, sockets, environment. */
import { spawn } from 'node:child_process'
import { appendFileSync, mkdirSync } from 'node:fs'
import { makeCanary } from '../../canary.ts'
import type { Guest } from '../../guest-types.ts'
import { hostCommand } from '../../host-command.ts'
import { startOf } from '../../journal.ts'
import type { Journal } from '../../journal.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude, inconclusive } from '../../verdict.ts'
import { hostSide } from './gateway.ts'
import {
  contentInside,
  insideProbe,
  kernelOf,
  lookingProbe,
  namesInside,
  sees,
  textInside,
} from './inside.ts'

const SEEK_END = 2

export const kernelLog: Probe = lookingProbe(
  {
    id: 'I13',
    slug: 'in.kmsg.canary',
    asset: 'kernel log',
    question: 'Does a guest read the host’s kernel log?',
    method:
      'The host writes a random word to /dev/kmsg; the guest reads syslog(2), /dev/kmsg and /proc/kmsg.',
    references: ['CWE-532'],
    remedy: 'Keep syslog(2) in the filter and /proc/kmsg masked; sysctl kernel.dmesg_restrict=1.',
  },
  async (guest) => {
    const canary = makeCanary('kernel-log')
    // Opened before, and read from its end on: the log may hold more entries than are read here.
    const device = await guest.syscall('openat', -100, { in: '/dev/kmsg' }, 0o4000)
    if (device.error === '') await guest.syscall('lseek', device.value, 0, SEEK_END)
    try {
      appendFileSync('/dev/kmsg', `dewar audit ${canary.text}\n`)
    } catch {
      return absent('this host’s kernel log cannot be written')
    }
    const { stdout } = await hostCommand(['dmesg'])
    const seen: Evidence[] = []
    const [log] = await guest.inChild([{ name: 'syslog', args: [3, { out: 1 << 20, short: true }, 1 << 20] }])
    if (log?.out[0]?.includes(canary.bytes))
      seen.push({ kind: 'syscall', text: 'syslog(2) gives the canary' })
    // Each read gives one entry of /dev/kmsg.
    const next = { name: 'read', args: [device.value, { out: 8192, short: true }, 8192], ends: true }
    const entries = await guest.batch(Array.from({ length: 1000 }, () => next))
    await guest.syscall('close', device.value)
    const read = { name: 'read', args: [{ result: 0 }, { out: 8192, short: true }, 8192], ends: true }
    const open = { name: 'openat', args: [-100, { in: '/proc/kmsg' }, 0o4000], ends: true }
    const pieces = await guest.inChild([open, ...Array.from({ length: 4000 }, () => read)])
    for (const [path, answers] of [
      ['/dev/kmsg', entries],
      ['/proc/kmsg', pieces],
    ] as const)
      if (answers.some(({ out }) => out[0]?.includes(canary.bytes)))
        seen.push({ kind: 'path', text: `${path} gives the canary` })
    return conclude({
      seen,
      controls: [
        await sees(guest),
        { what: 'the host’s dmesg shows the canary', held: stdout.includes(canary.text) },
      ],
      leak: 'The guest reads the host’s kernel log.',
      contained: 'The canary in the host’s log was not seen inside.',
    })
  },
)

const USER_KEYRING = -4
const KEYCTL_UNLINK = 9
const KEYCTL_SEARCH = 10

async function findsKey(guest: Guest, name: string): Promise<readonly Evidence[]> {
  const answers = await guest.inChild([
    { name: 'keyctl', args: [KEYCTL_SEARCH, USER_KEYRING, { in: 'user' }, { in: name }, 0] },
    { name: 'request_key', args: [{ in: 'user' }, { in: name }, 0, 0] },
  ])
  const seen: Evidence[] = ['keyctl(SEARCH)', 'request_key']
    .filter((_what, index) => answers[index]?.error === '')
    .map((what) => ({ kind: 'syscall', text: `${what} finds the key` }))
  if ((await textInside(guest, '/proc/keys')).includes(name))
    seen.push({ kind: 'path', text: '/proc/keys lists it' })
  return seen
}

export const kernelKeys: Probe = lookingProbe(
  {
    id: 'I14',
    slug: 'in.keyring.canary',
    asset: 'kernel keys',
    question: 'Does a guest find keys in the host’s keyrings?',
    method:
      'The host’s root adds a key with a random name to its keyring; the guest searches for it and reads /proc/keys.',
    references: ['CWE-668', 'botb'],
    remedy: 'Keep keyctl, add_key and request_key in the filter, /proc/keys masked; or a user namespace.',
    readOnly: true,
  },
  async (guest, { observer }) => {
    const canary = makeCanary('key')
    const host = await observer()
    const added = await host.syscall(
      'add_key',
      { in: 'user' },
      { in: canary.text },
      { in: Buffer.from('x') },
      1,
      USER_KEYRING,
    )
    if (added.error === 'ENOSYS') return absent('this host’s kernel keeps no keys')
    if (added.error !== '') return inconclusive(`the host could not add a key (${added.error})`)
    try {
      const onHost = await findsKey(host, canary.text)
      return conclude({
        seen: await findsKey(guest, canary.text),
        controls: [await sees(guest), { what: 'the host finds its key', held: onHost.length > 0 }],
        leak: 'The guest finds a key of the host’s root.',
        contained: 'The key was not found inside.',
      })
    } finally {
      await host.syscall('keyctl', KEYCTL_UNLINK, added.value, USER_KEYRING)
    }
  },
)

/** A process of the host with a random name in its command line. */
async function withVictim<T>(journal: Journal, use: (word: string, pid: number) => Promise<T>): Promise<T> {
  const { text } = makeCanary('process')
  const child = spawn('sleep', ['120'], { argv0: text, stdio: 'ignore' })
  const pid = child.pid ?? 0
  const gone = journal.plan({ kind: 'process', pid, start: startOf(pid) })
  try {
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    return await use(text, pid)
  } finally {
    child.kill('SIGKILL')
    gone()
  }
}

async function commandLines(guest: Guest): Promise<readonly { pid: string; line: string }[]> {
  const pids = (await namesInside(guest, '/proc')).filter((name) => /^\d+$/.test(name))
  const lines = []
  for (const pid of pids) lines.push({ pid, line: await textInside(guest, `/proc/${pid}/cmdline`) })
  return lines
}

export const hostProcesses: Probe = lookingProbe(
  {
    id: 'I32',
    slug: 'in.proc.host-visible',
    asset: 'processes',
    question: 'Does a guest see processes of the host?',
    method: 'A process of the host has a random word as its name; the guest reads every /proc/PID/cmdline.',
    references: ['T1057'],
    remedy: 'No --pid=host.',
  },
  (guest, { journal }) =>
    withVictim(journal, async (word) => {
      const lines = await commandLines(guest)
      return conclude({
        seen: lines
          .filter(({ line }) => line.includes(word))
          .map(({ pid }) => ({ kind: 'process', text: `/proc/${pid}/cmdline inside` })),
        controls: [
          await sees(guest),
          {
            what: 'the guest sees its own processes',
            held: lines.some(({ line }) => line.includes('audit-')),
          },
        ],
        leak: 'The guest sees the host’s process.',
        contained: `The guest sees ${lines.length} processes, and the host’s is not among them.`,
      })
    }),
)

export const crossPtrace: Probe = lookingProbe(
  {
    id: 'I31',
    slug: 'in.sys.cross-ptrace',
    asset: 'memory',
    question: 'Can a guest signal, open or read a process outside its own?',
    method:
      'kill(0), pidfd_open, process_vm_readv and /proc/PID/mem on the number of a host process with a canary.',
    references: ['T1055.008'],
    remedy: 'No --pid=host, no SYS_PTRACE.',
  },
  (guest, { journal }) =>
    withVictim(journal, async (word, pid) => {
      const iovec = Buffer.alloc(16)
      iovec.writeBigInt64LE(8n, 0)
      iovec.writeBigInt64LE(8n, 8)
      const names = ['kill(0)', 'pidfd_open', 'process_vm_readv', 'open of mem']
      const answers = await guest.inChild([
        { name: 'kill', args: [pid, 0] },
        { name: 'pidfd_open', args: [pid, 0] },
        { name: 'process_vm_readv', args: [pid, { in: iovec }, 1, { in: iovec }, 1, 0] },
        { name: 'openat', args: [-100, { in: `/proc/${pid}/mem` }, 0] },
      ])
      // The number may be another process's inside; only the canary says whose it is.
      const same = (await textInside(guest, `/proc/${pid}/cmdline`)).includes(word)
      const through = names.filter((_name, index) => ['', 'EFAULT'].includes(answers[index]?.error ?? 'x'))
      const own = await guest.syscall('kill', guest.pid, 0)
      const reached = same
        ? through
        : through.filter(() => answers[0]?.error === '' && pid > 4096 && guest.pid < pid / 2)
      return conclude({
        seen: reached.map((name) => ({ kind: 'syscall', text: `${name} on pid ${pid} of the host` })),
        controls: [await sees(guest), { what: 'the guest reaches its own process', held: own.error === '' }],
        leak: 'The guest reaches a process of the host.',
        contained: `Refused: ${names.map((name, index) => `${name} ${answers[index]?.error}`).join(', ')}.`,
      })
    }),
)

export const abstractSocket: Probe = lookingProbe(
  {
    id: 'I33',
    slug: 'in.unix.abstract',
    asset: 'IPC',
    question: 'Can a guest connect to abstract sockets of the host?',
    method: 'The host listens on an abstract unix socket with a random name; the guest connects.',
    references: ['CVE-2020-15257'],
    remedy: 'No --network=host.',
  },
  async (guest, context) => {
    const { text } = makeCanary('abstract-socket')
    // In the engine's network, whose sockets --network=host is about.
    const host = await hostSide(context)
    const address = Buffer.concat([Buffer.from([1, 0, 0]), Buffer.from(text)])
    const answers = await host.batch([
      { name: 'socket', args: [1, 1, 0], ends: true },
      { name: 'bind', args: [{ result: 0 }, { in: address }, address.length], ends: true },
      { name: 'listen', args: [{ result: 0 }, 4] },
    ])
    const error = await guest.connect({ unix: `@${text}` })
    const own = await host.connect({ unix: `@${text}` })
    return conclude({
      seen: error === undefined ? [{ kind: 'syscall', text: `connect(@${text}) worked` }] : [],
      controls: [
        await sees(guest),
        { what: 'the host listens', held: answers.every((one) => one.error === '') },
        { what: 'the host connects to it itself', held: own === undefined },
      ],
      leak: 'The guest connects to the host’s abstract sockets.',
      contained: `connect: ${error}.`,
    })
  },
)

export const fileHandles: Probe = insideProbe(
  {
    id: 'I30',
    slug: 'in.sys.file-handles',
    asset: 'file',
    question: 'Can a guest open a file of the host by its handle?',
    method:
      'The host asks for the handle of a canary file; the guest opens it through each mount that comes from the host.',
    references: ['T1611', 'shocker'],
    remedy: 'Drop DAC_READ_SEARCH; keep open_by_handle_at in the filter.',
    readOnly: false,
  },
  async ({ create, guest, observer, journal }) => {
    const canary = makeCanary('handle')
    const path = `${journal.folder}/handle-${canary.text.slice(0, 8)}`
    const gone = journal.plan({ kind: 'file', path })
    const host = await observer()
    try {
      await host.writeFile(path, canary.text)
      const head = Buffer.alloc(136)
      head.writeUInt32LE(128)
      const named = await host.syscall(
        'name_to_handle_at',
        -100,
        { in: path },
        { inout: head },
        { out: 4 },
        0,
      )
      const [handle] = named.out
      if (named.error !== '' || handle === undefined)
        return absent(`the host’s files have no handles (${named.error})`)
      const open = async (who: Guest, mount: string): Promise<string> => {
        const answers = await who.inChild([
          { name: 'openat', args: [-100, { in: mount }, 0], ends: true },
          { name: 'open_by_handle_at', args: [{ result: 0 }, { in: handle }, 0], ends: true },
          { name: 'read', args: [{ result: 1 }, { out: 64, short: true }, 64] },
        ])
        const content = answers[2]?.out[0]?.toString() ?? ''
        return content === canary.text
          ? 'read'
          : `${answers.map(({ error }) => error).find((one) => one !== '') ?? 'other content'}`
      }
      // A folder beside the canary's, so that one mount inside is of its file system for certain.
      const beside = `${journal.folder}/beside`
      mkdirSync(beside, { recursive: true })
      const subject = await create({ mounts: [{ source: beside, target: '/audit-beside' }] })
      const inside = await guest(subject)
      const mounts = ['/audit-beside', '/', '/etc/hosts', '/etc/resolv.conf', '/etc/hostname']
      // Of a container with a kernel of its own the host has no such mount.
      const { shared } = await kernelOf(inside)
      const through = shared ? `/proc/${subject.pid}/root/audit-beside` : beside
      const results: string[] = []
      for (const mount of mounts) results.push(await open(inside, mount))
      return conclude({
        seen: mounts
          .filter((_mount, index) => results[index] === 'read')
          .map((mount) => ({
            kind: 'syscall',
            text: `open_by_handle_at through ${mount} gave the host’s file`,
          })),
        controls: [
          await sees(inside),
          {
            what: 'the host opens the file by its handle, through what is mounted inside',
            held: (await open(host, through)) === 'read',
          },
        ],
        leak: 'The guest opens any file of the host’s file system by its handle.',
        contained: `Through ${mounts.map((mount, index) => `${mount}: ${results[index]}`).join(', ')}.`,
      })
    } finally {
      await host.unlink(path).catch(() => undefined)
      gone()
    }
  },
)

export const PLANTED: readonly Probe[] = [
  kernelLog,
  kernelKeys,
  abstractSocket,
  hostProcesses,
  fileHandles,
  crossPtrace,
]

/** For probes that need to know that a path can be read at all. */
export async function readable(guest: Guest, path: string): Promise<boolean> {
  return 'bytes' in (await contentInside(guest, path))
}
