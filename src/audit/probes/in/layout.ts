/** What files inside tell of the engine and the kernel's insides. */
import { hostname } from 'node:os'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import { contentInside, kernelOf, lookingProbe, sees, short, textInside, textOnHost } from './inside.ts'
import { mountsIn } from './host-mounts.ts'
import { O_WRONLY } from '../../guest-files.ts'

function linesWith(text: string, word: string): readonly string[] {
  return text.split('\n').filter((line) => line.includes(word))
}

export const mountinfo: Probe = lookingProbe(
  {
    id: 'I02',
    slug: 'in.proc.mountinfo',
    asset: 'host paths',
    question: 'Does a guest learn where on the host its files are?',
    method: 'The engine’s folders on the host are looked for in mountinfo and mounts inside.',
    references: ['CWE-497'],
    remedy:
      'Mounts made from descriptors (fsconfig with O_PATH) or a kernel of its own; keep the storage path free of secrets.',
  },
  async (guest, { target }) => {
    const folders = await target.folders()
    const info = await textInside(guest, '/proc/self/mountinfo')
    const text = `${info}\n${await textInside(guest, '/proc/self/mounts')}`
    const seen: Evidence[] = folders.flatMap((folder) => {
      const [line] = linesWith(text, folder)
      return line === undefined
        ? []
        : [{ kind: 'path', text: short(line.slice(Math.max(0, line.indexOf(folder) - 40)), 160) }]
    })
    // On a file system of its own the path is relative to it: the part after the mount point.
    const bound = info
      .split('\n')
      .filter((line) => / \/(?:\S*\/)?(?:etc\/(?:hosts|resolv\.conf|hostname)) /.test(line))
    const tails = folders.map((folder) => folder.split('/').slice(-2).join('/'))
    for (const line of bound)
      if (tails.some((tail) => line.includes(tail))) seen.push({ kind: 'path', text: short(line, 160) })
    return conclude({
      seen,
      controls: [
        await sees(guest),
        { what: 'the list of mounts can be read inside', held: text.trim() !== '' },
        { what: 'the engine’s folders are known', held: folders.length > 0 },
      ],
      leak: 'The list of mounts names the engine’s folders on the host.',
      contained: 'No folder of the engine is named in the list of mounts.',
    })
  },
)

/** As a word, with its domain or without, on either side. */
export function namesHost(text: string, host: string): boolean {
  const first = (name: string): string => name.split('.')[0] ?? ''
  return text.split(/\s+/).some((word) => word !== '' && (word === host || first(word) === first(host)))
}

export const hostName: Probe = lookingProbe(
  {
    id: 'I57',
    slug: 'in.uts.hostname',
    asset: 'host name',
    question: 'Does a guest learn the host’s name?',
    method: 'The host’s name is looked for in uname, /etc/hostname, /etc/hosts and /proc/sys/kernel inside.',
    references: ['CWE-497'],
    remedy: 'No --uts=host; do not copy the host’s /etc/hosts.',
  },
  async (guest) => {
    const name = hostname()
    if (name === '' || name === 'localhost') return absent(`the host has no name of its own ("${name}")`)
    const seen: Evidence[] = []
    for (const path of [
      '/proc/sys/kernel/hostname',
      '/proc/sys/kernel/domainname',
      '/etc/hostname',
      '/etc/hosts',
    ])
      if (namesHost(await textInside(guest, path), name))
        seen.push({ kind: 'path', text: `${path}: ${name}` })
    const { out } = await guest.syscall('uname', { out: 390 })
    if (out[0]?.subarray(65, 130).toString('latin1').split('\0')[0] === name)
      seen.push({ kind: 'syscall', text: `uname: ${name}` })
    return conclude({
      seen,
      controls: [await sees(guest), { what: 'the host has a name', held: name !== '' }],
      leak: 'The host’s name stands inside.',
      contained: `${name} stands nowhere inside.`,
    })
  },
)

export const telltales: Probe = lookingProbe(
  {
    id: 'I12',
    slug: 'in.engine.telltales',
    asset: 'engine identity',
    question: 'Can a guest tell that it is in a container, and of which engine?',
    method:
      '/.dockerenv, /run/.containerenv, the variable container, mounts, cgroup names and the kernel’s name.',
    references: ['T1082'],
    remedy: 'None is needed: this is for information.',
  },
  async (guest) => {
    const seen: Evidence[] = []
    for (const path of ['/.dockerenv', '/run/.containerenv', '/run/systemd/container'])
      if ('bytes' in (await contentInside(guest, path))) seen.push({ kind: 'path', text: path })
    const text = [
      ...['/proc/1/environ', '/proc/self/mountinfo', '/proc/self/cgroup', '/proc/1/cmdline'],
      ...['/proc/version', '/etc/resolv.conf'],
    ]
    for (const path of text) {
      const content = await textInside(guest, path)
      const words = content.match(
        /docker|podman|libpod|containerd|dewar(?!-audit)|gvisor|gofer|container=\w+|overlay|kata/gi,
      )
      if (words !== null) seen.push({ kind: 'value', text: `${path}: ${[...new Set(words)].join(' ')}` })
    }
    const { name, shared } = await kernelOf(guest)
    if (!shared) seen.push({ kind: 'syscall', text: `a kernel of its own: ${name}` })
    return conclude({
      seen,
      controls: [await sees(guest)],
      leak: 'The guest can tell what it runs in.',
      contained: 'Nothing of what is usually looked at tells it.',
    })
  },
)

export const symbols: Probe = lookingProbe(
  {
    id: 'I15',
    slug: 'in.kernel.symbols',
    asset: 'kernel layout',
    question: 'Does a guest learn where in memory the host’s kernel is, or read its memory?',
    method:
      'Addresses in /proc/kallsyms and /proc/modules; opening /proc/kcore, /proc/kpage*, /dev/mem, debugfs.',
    references: ['CWE-497'],
    remedy: 'Mask /proc/kallsyms and /proc/kcore; sysctl kernel.kptr_restrict=1.',
  },
  async (guest) => {
    const kernel = await kernelOf(guest)
    const seen: Evidence[] = []
    for (const path of ['/proc/kallsyms', '/proc/modules', '/sys/kernel/notes']) {
      const text = (await textInside(guest, path)).slice(0, 8192)
      const address = /\b(?:0x)?ffff[0-9a-f]{12}\b/.exec(text)?.[0]
      if (address !== undefined) seen.push({ kind: 'value', text: `${path}: ${address}` })
    }
    for (const path of [
      '/proc/kcore',
      '/proc/kpagecount',
      '/proc/kpageflags',
      '/dev/mem',
      '/dev/kmem',
      '/dev/port',
    ]) {
      const content = await contentInside(guest, path, 64)
      if ('bytes' in content && content.bytes.length > 0)
        seen.push({ kind: 'path', text: `${path} gives bytes` })
    }
    const onHost = /[1-9a-f]/.test((await textOnHost('/proc/kallsyms')).slice(0, 16))
    return conclude({
      seen: kernel.shared ? seen : [],
      controls: [await sees(guest), { what: 'the host’s root sees addresses', held: onHost }],
      leak: 'The guest learns addresses of the host’s kernel, or reads its memory.',
      contained: kernel.shared ? 'No address of the kernel was seen.' : 'It has a kernel of its own.',
    })
  },
)

export const cgroupPaths: Probe = lookingProbe(
  {
    id: 'I18',
    slug: 'in.cgroup.paths',
    asset: 'engine layout',
    question: 'Does a guest learn its place among the host’s control groups, or may change them?',
    method: '/proc/self/cgroup and /proc/1/cgroup name no group but /; no cgroup.procs opens for writing.',
    references: ['CVE-2023-25809'],
    remedy: '--cgroupns=private; /sys/fs/cgroup read-only or with a user namespace.',
    readOnly: false,
  },
  async (guest) => {
    const kernel = await kernelOf(guest)
    const lines = (await textInside(guest, '/proc/1/cgroup')).trim().split('\n')
    const seen: Evidence[] = lines
      .filter((line) => !/:\/$/.test(line) && line !== '' && !line.includes(':/..'))
      .slice(0, 3)
      .map((line) => ({ kind: 'path', text: `/proc/1/cgroup: ${short(line)}` }))
    // Wherever they are mounted, by whatever name.
    const mounts = mountsIn(await textInside(guest, '/proc/self/mountinfo'))
    const folders = new Set(mounts.filter(({ type }) => type.startsWith('cgroup')).map(({ at }) => at))
    for (const folder of kernel.shared ? folders : [])
      for (const file of ['cgroup.procs', 'release_agent'])
        if ((await guest.tryOpen(`${folder}/${file}`, O_WRONLY)) === undefined)
          seen.push({ kind: 'path', text: `${folder}/${file} opens for writing` })
    return conclude({
      seen: kernel.shared ? seen : [],
      controls: [
        await sees(guest),
        { what: 'the host has control groups', held: (await textOnHost('/proc/self/cgroup')) !== '' },
        { what: 'the list can be read inside', held: !kernel.shared || lines.some((line) => line !== '') },
      ],
      leak: 'The guest sees or may change control groups of the host.',
      contained: kernel.shared
        ? 'The guest sees its own group as the root, and cannot change it.'
        : 'It has a kernel of its own.',
    })
  },
)

/** Numbers of the peer groups in the optional fields of mountinfo (proc(5)). */
function groups(info: string, tag: 'shared' | 'master'): ReadonlySet<string> {
  return new Set([...info.matchAll(new RegExp(` ${tag}:(\\d+)`, 'g'))].map((match) => match[1] ?? ''))
}

export const propagation: Probe = lookingProbe(
  {
    id: 'I38',
    slug: 'in.mount.propagation',
    asset: 'mounts',
    question: 'Do mounts of the host appear inside, or mounts inside on the host?',
    method:
      'Peer groups of the mounts inside (mountinfo) are compared with those of the host and of the engine.',
    references: ['CWE-668'],
    remedy: 'No :shared, :rshared, :slave or :rslave on volumes.',
  },
  async (guest, { target }) => {
    const inside = await textInside(guest, '/proc/self/mountinfo')
    const pids = ['self', ...(await target.enginePids()).slice(0, 2).map(String)]
    const outside = (await Promise.all(pids.map((pid) => textOnHost(`/proc/${pid}/mountinfo`)))).join('\n')
    const theirs = groups(outside, 'shared')
    const [peers, masters] = [groups(inside, 'shared'), groups(inside, 'master')]
    const seen: Evidence[] = [
      ...[...peers]
        .filter((group) => theirs.has(group))
        .map((group) => `shared:${group}, with a mount of the host`),
      ...[...masters]
        .filter((group) => theirs.has(group))
        .map((group) => `master:${group}, a mount of the host`),
    ].map((text) => ({ kind: 'value', text }))
    return conclude({
      seen,
      controls: [
        await sees(guest),
        {
          what: 'the lists of mounts can be read inside and on the host',
          held: inside !== '' && outside !== '',
        },
      ],
      leak: 'Mounts travel between the host and the container.',
      contained: 'No mount inside is in a peer group of the host’s.',
    })
  },
)

export const LAYOUT: readonly Probe[] = [mountinfo, hostName, cgroupPaths, symbols, propagation, telltales]
