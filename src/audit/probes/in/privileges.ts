/** Who the guest is: capabilities, user ids, what raises them, labels, devices, controls. */
import { readFileSync } from 'node:fs'
import { AT_FDCWD, O_RDONLY, O_WRONLY } from '../../guest-files.ts'
import type { Guest } from '../../guest-types.ts'
import { WORK_FOLDER } from '../../image.ts'
import type { Probe } from '../../probe.ts'
import { PROGRAM } from '../../target.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude, inconclusive } from '../../verdict.ts'
import {
  insideProbe,
  kernelOf,
  lookingProbe,
  namesInside,
  sees,
  short,
  textInside,
  textOnHost,
} from './inside.ts'

const CAP_SETS = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']

function field(status: string, name: string): string {
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? ''
}

function ones(hex: string): number {
  return [...BigInt(`0x${hex === '' ? '0' : hex}`).toString(2)].filter((bit) => bit === '1').length
}

/** Root inside is root outside: the map is the identity of the first user namespace. */
async function hostsUsers(guest: Guest): Promise<boolean> {
  return /^\s*0\s+0\s+4294967295\s*$/.test(await textInside(guest, '/proc/self/uid_map'))
}

export const capabilities: Probe = insideProbe(
  {
    id: 'I21',
    slug: 'in.caps.sets',
    asset: 'privilege',
    question: 'Does the guest hold capabilities over the host?',
    method:
      'The capability sets of the first process and of one that was executed, and whose user namespace they are in.',
    references: ['CVE-2022-24769', 'CWE-250'],
    remedy: '--cap-drop=ALL and add what is needed; or a user namespace (--userns, dewar’s default).',
    readOnly: false,
  },
  async ({ world, guest }) => {
    const { subject } = await world()
    const inside = await guest(subject)
    const kernel = await kernelOf(inside)
    const hosts = await hostsUsers(inside)
    const seen: Evidence[] = []
    for (const who of ['1', 'self']) {
      const status = await textInside(inside, `/proc/${who}/status`)
      const sets = CAP_SETS.map((name) => `${name} ${field(status, name)}`).join(', ')
      const held = ones(field(status, 'CapEff'))
      if (kernel.shared && hosts && held > 0)
        seen.push({
          kind: 'value',
          text: `process ${who}, in the host’s user namespace: ${held} capabilities (${sets})`,
        })
      else if (kernel.shared && ones(field(status, 'CapInh')) > 0)
        seen.push({ kind: 'value', text: `process ${who} has inheritable capabilities: ${sets}` })
    }
    const known = field(await textInside(inside, '/proc/self/status'), 'CapBnd') !== ''
    return conclude({
      seen,
      controls: [
        await sees(inside),
        { what: 'the guest’s capability sets can be read', held: known || !kernel.shared },
      ],
      leak: 'The guest holds capabilities in the host’s user namespace, or can inherit some.',
      contained: kernel.shared
        ? hosts
          ? 'It holds no capability.'
          : 'What capabilities it holds are those of a user namespace of its own.'
        : 'What capabilities it holds are those of a kernel of its own.',
    })
  },
)

export const userMap: Probe = insideProbe(
  {
    id: 'I22',
    slug: 'in.userns.map',
    asset: 'identity',
    question: 'Is root inside root on the host, or the same user as in another container?',
    method: 'The host’s view of the user of two containers’ processes, and their maps.',
    references: ['CWE-250', 'moby#28593'],
    remedy: 'User namespaces: --userns=auto (podman), userns-remap (dockerd), dewar’s default.',
    readOnly: false,
  },
  async ({ world, guest, create }) => {
    const [first, second] = [(await world()).subject, await create()]
    const uids = [first, second].map(({ pid }) => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      return Number(field(status, 'Uid').split(/\s+/)[1])
    })
    const inside = await guest(first)
    const kernel = await kernelOf(inside)
    const seen: Evidence[] = uids
      .filter((uid) => uid === 0 && kernel.shared)
      .map((_uid, index) => ({
        kind: 'process',
        text: `pid ${[first, second][index]?.pid}: uid 0 on the host`,
      }))
    if (kernel.shared && uids[0] === uids[1] && uids[0] !== 0)
      seen.push({ kind: 'process', text: `two containers have the same user of the host: ${uids[0]}` })
    return conclude({
      seen,
      controls: [
        await sees(inside),
        { what: 'the host sees both containers’ processes', held: uids.every((uid) => uid >= 0) },
      ],
      leak: 'Root inside is a user of the host that others are too.',
      contained: kernel.shared
        ? `On the host they are the users ${uids.join(' and ')}.`
        : 'A kernel of its own has users of its own.',
    })
  },
)

const NOBODY = '65534'
const ROOT_EXIT = 10

export const setuid: Probe = insideProbe(
  {
    id: 'I23',
    slug: 'in.nnp.setuid',
    asset: 'privilege',
    question: 'Does a setuid program in the container make its caller root?',
    method: 'A setuid copy of a program that says who it is, executed by an ordinary user inside.',
    references: ['T1548.001'],
    remedy: '--security-opt no-new-privileges',
    readOnly: false,
  },
  async ({ guest, create }) => {
    const subject = await create()
    const root = await guest(subject)
    const path = `${WORK_FOLDER}/whoami`
    await root.writeFile(path, await root.readFile(PROGRAM, 1 << 22), { mode: 0o755 })
    await root.syscall('fchmodat', AT_FDCWD, { in: path }, 0o4755)
    const user = await guest(subject, { user: NOBODY })
    const whoami = async (program: string): Promise<number | undefined> => {
      const pointers = [
        { at: 0, to: 'whoami' },
        { at: 8, to: 'audit-whoami' },
      ]
      const args = [{ in: program }, { in: Buffer.alloc(24), pointers }, { in: Buffer.alloc(8) }]
      return (await user.fork([{ name: 'execve', args }])).exit
    }
    const [plain, raised] = [await whoami(PROGRAM), await whoami(path)]
    const { mode } = await root.stat(path)
    const map = short(await textInside(root, '/proc/self/uid_map'))
    return conclude({
      seen:
        raised === ROOT_EXIT ? [{ kind: 'process', text: `uid ${NOBODY} became 0 (uid_map: ${map})` }] : [],
      controls: [
        { what: 'the copy is setuid root', held: (mode & 0o4000) !== 0 },
        { what: 'a program that is not setuid says that it is no root', held: plain === ROOT_EXIT + 1 },
      ],
      leak: 'An ordinary user inside becomes root inside by a setuid program.',
      contained: 'The caller stayed who it was.',
    })
  },
)

export const label: Probe = lookingProbe(
  {
    id: 'I24',
    slug: 'in.lsm.effective',
    asset: 'privilege',
    question: 'Does the guest run without the label that its security module should give it?',
    method: '/proc/self/attr/current inside, where the host’s kernel labels processes (AppArmor, SELinux).',
    references: ['CVE-2019-16884'],
    remedy: 'Leave the engine’s AppArmor or SELinux profile on.',
    readOnly: false,
  },
  async (guest) => {
    // Not by securityfs, which need not be mounted: without such a module the kernel refuses to say (EINVAL).
    const onHost = await textOnHost('/proc/self/attr/current')
    if (onHost === '') return absent('the host’s kernel gives processes no labels (AppArmor, SELinux)')
    const label_ = (await textInside(guest, '/proc/self/attr/current')).replace('\0', '').trim()
    if (label_ === '') return inconclusive('the label cannot be read inside')
    return conclude({
      seen: isFree(label_) ? [{ kind: 'value', text: label_ }] : [],
      controls: [await sees(guest), { what: `the host labels processes (${short(onHost)})`, held: true }],
      leak: 'No profile holds the guest.',
      contained: `It runs as ${label_}.`,
    })
  },
)

/** AppArmor: `PROFILE (MODE)`, of which only `enforce` refuses anything. SELinux: `user:role:TYPE:level`. */
export function isFree(label_: string): boolean {
  return /^unconfined\b|:(unconfined_t|spc_t|kernel_t|init_t)(:|$)|^kernel$| \((complain|unconfined)\)$/.test(
    label_,
  )
}

/** Opened for writing and nothing written. */
const CONTROLS = [
  ...['/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/proc/sys/kernel/hotplug'],
  ...['/proc/sys/kernel/poweroff_cmd', '/proc/sysrq-trigger', '/proc/sys/vm/drop_caches'],
  ...['/proc/sys/fs/binfmt_misc/register', '/sys/kernel/uevent_helper', '/sys/power/state'],
  ...['/proc/sys/kernel/panic', '/proc/sys/vm/overcommit_memory', '/sys/kernel/mm/ksm/run'],
  ...['/proc/acpi/wakeup', '/proc/timer_stats', '/proc/irq/default_smp_affinity'],
]

export const controlWrite: Probe = lookingProbe(
  {
    id: 'I19',
    slug: 'in.kernel.control-write',
    asset: 'kernel controls',
    question: 'Can a guest open the host’s kernel controls for writing?',
    method: `Opened for writing, nothing written: ${CONTROLS.join(', ')}, release_agent.`,
    references: ['CVE-2022-0492', 'T1611'],
    remedy: 'No --privileged; /proc/sys and /sys read-only; a user namespace.',
  },
  async (guest) => {
    const kernel = await kernelOf(guest)
    const agents = (await namesInside(guest, '/sys/fs/cgroup')).map(
      (name) => `/sys/fs/cgroup/${name}/release_agent`,
    )
    const seen: Evidence[] = []
    let there = 0
    for (const path of [...CONTROLS, ...agents]) {
      const error = await guest.tryOpen(path, O_WRONLY)
      if (error !== 'ENOENT') there += 1
      if (error === undefined && kernel.shared) seen.push({ kind: 'path', text: `${path} opens for writing` })
    }
    const hosts = (await textOnHost(CONTROLS[0] ?? '')) !== ''
    return conclude({
      seen,
      controls: [await sees(guest), { what: 'the host has such controls', held: hosts }],
      leak: 'The guest can change how the host’s kernel works; some of these run programs as root.',
      contained: kernel.shared
        ? `None of ${there} that are there opens for writing.`
        : 'It has a kernel of its own.',
    })
  },
)

/** Major and minor of what every container may have: null, zero, full, random, urandom, tty, console, ptmx. */
const ORDINARY = new Set(['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:1', '5:2'])
const PSEUDO_TERMINAL = /^(13[6-9]|14[0-3]):/

export const devices: Probe = insideProbe(
  {
    id: 'I20',
    slug: 'in.device.nodes',
    asset: 'device',
    question: 'Can a guest open devices of the host, such as its disk?',
    method:
      'Nodes in /dev beside the ordinary ones; a node for the host’s disk is made, and opened for reading.',
    references: ['T1006', 'CWE-1188'],
    remedy: 'No --device, no --privileged; drop MKNOD.',
    readOnly: false,
  },
  async ({ create, guest, observer }) => {
    const inside = await guest(await create())
    const seen: Evidence[] = []
    const kernel = await kernelOf(inside)
    for (const { name, type } of kernel.shared ? await inside.listFolder('/dev') : []) {
      if (type !== 'other') continue
      const number = await deviceOf(inside, `/dev/${name}`)
      if (number === undefined || ORDINARY.has(number) || PSEUDO_TERMINAL.test(number)) continue
      if ((await inside.tryOpen(`/dev/${name}`)) === undefined)
        seen.push({ kind: 'device', text: `/dev/${name} (${number}) opens` })
    }
    const host = await observer()
    const { major, minor, name } = await diskOf(host)
    if (name === '') return absent('this host has no disk')
    const path = `${WORK_FOLDER}/disk`
    const made = await inside.syscall(
      'mknodat',
      AT_FDCWD,
      { in: path },
      0o60600,
      (Number(major) << 8) | Number(minor),
    )
    const opened = made.error === '' ? await inside.tryOpen(path, O_RDONLY) : made.error
    if (made.error === '') await inside.unlink(path)
    if (opened === undefined && kernel.shared)
      seen.push({ kind: 'device', text: `a node for ${name} (${major}:${minor}) opens` })
    return conclude({
      seen,
      controls: [
        { what: '/dev/null opens inside', held: (await inside.tryOpen('/dev/null')) === undefined },
        {
          what: `the host itself opens /dev/${name}`,
          held: (await host.tryOpen(`/dev/${name}`)) === undefined,
        },
      ],
      leak: 'The guest opens devices of the host.',
      contained: `A node for the host’s disk ${made.error === '' ? 'cannot be opened' : 'cannot be made'} (${opened ?? 'it opens, in a kernel of its own'}).`,
    })
  },
)

/**
 * A block device that the host itself opens, else its first disk: some machines refuse theirs even to root. A loop
 * device without a file opens, too.
 */
async function diskOf(host: Guest): Promise<{ major: string; minor: string; name: string }> {
  const rows = (await textOnHost('/proc/partitions')).split('\n').map((line) => line.trim().split(/\s+/))
  const disks = rows
    .filter(([one]) => /^\d+$/.test(one ?? ''))
    .map(([major = '', minor = '', , name = '']) => ({ major, minor, name }))
  for (const disk of [...disks, { major: '7', minor: '0', name: 'loop0' }]) {
    if ((await host.tryOpen(`/dev/${disk.name}`)) === undefined) return disk
  }
  return disks[0] ?? { major: '', minor: '', name: '' }
}

/** struct statx: stx_rdev_major and minor. */
async function deviceOf(guest: Guest, path: string): Promise<string | undefined> {
  const { error, out } = await guest.syscall('statx', AT_FDCWD, { in: path }, 0x100, 0x7ff, { out: 256 })
  const [bytes] = out
  if (error !== '' || bytes === undefined) return undefined
  const type = bytes.readUInt16LE(28) & 0o170000
  if (type !== 0o020000 && type !== 0o060000) return undefined
  return `${bytes.readUInt32LE(128)}:${bytes.readUInt32LE(132)}`
}

export const PRIVILEGES: readonly Probe[] = [capabilities, userMap, setuid, label, controlWrite, devices]
