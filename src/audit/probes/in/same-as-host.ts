/** Facts of the host that stand in files: the same value inside is a leak. */
import type { Guest } from '../../guest-types.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import type { Finding } from '../../verdict.ts'
import { kernelOf, lookingProbe, namesInside, sees, short, textInside, textOnHost } from './inside.ts'
import { readdir } from 'node:fs/promises'
import { cpus, release, version } from 'node:os'

/** Compares files as wholes. Those that the host has not, or that hold nothing, are left out. */
async function compare(
  guest: Guest,
  paths: readonly string[],
  words: { readonly leak: string; readonly contained: string },
): Promise<Finding> {
  const seen: Evidence[] = []
  let known = 0
  for (const path of paths) {
    const host = (await textOnHost(path)).trim()
    if (host === '') continue
    known += 1
    const inside = (await textInside(guest, path)).trim()
    if (inside === host) seen.push({ kind: 'value', text: `${path}: ${short(host)}` })
  }
  if (known === 0) return absent(`this host has none of ${paths.join(', ')}`)
  const controls = [await sees(guest), { what: 'the auditor knows the host’s value', held: known > 0 }]
  return conclude({ seen, controls, ...words })
}

export const bootId: Probe = lookingProbe(
  {
    id: 'I01',
    slug: 'in.proc.boot_id',
    asset: 'host identity',
    question: 'Does a guest read the identity of this start of the host?',
    method: '/proc/sys/kernel/random/boot_id inside is compared with the host’s.',
    references: ['CWE-497', 'ContainerLeaks'],
    remedy: 'Bind-mount a file with a random id of its own over /proc/sys/kernel/random/boot_id.',
  },
  (guest) =>
    compare(guest, ['/proc/sys/kernel/random/boot_id'], {
      leak: 'The guest reads the host’s boot id: containers of one host recognise each other by it.',
      contained: 'The guest reads another boot id, or none.',
    }),
)

export const bootArguments: Probe = lookingProbe(
  {
    id: 'I03',
    slug: 'in.proc.cmdline',
    asset: 'host boot args',
    question: 'Does a guest read the arguments that the host’s kernel was started with?',
    method: '/proc/cmdline inside is compared with the host’s.',
    references: ['CWE-497'],
    remedy: 'Mask /proc/cmdline (add it to linux.maskedPaths).',
  },
  (guest) =>
    compare(guest, ['/proc/cmdline'], {
      leak: 'The guest reads the host’s boot arguments (devices, file systems, sometimes secrets).',
      contained: 'The guest does not read the host’s boot arguments.',
    }),
)

export const kernelBuild: Probe = lookingProbe(
  {
    id: 'I10',
    slug: 'in.kernel.build',
    asset: 'host identity',
    question: 'Does a guest learn which kernel build and which processor the host has?',
    method:
      'uname, /proc/version, /proc/config.gz and the processor’s model inside are compared with the host’s.',
    references: ['CWE-497'],
    remedy: 'Only a kernel of its own hides it: gvisor or microvm.',
  },
  async (guest) => {
    const seen: Evidence[] = []
    const kernel = await kernelOf(guest)
    if (kernel.shared) seen.push({ kind: 'value', text: `uname: ${kernel.name}` })
    for (const path of ['/proc/version', '/proc/config.gz']) {
      const host = await textOnHost(path)
      if (host !== '' && host === (await textInside(guest, path)))
        seen.push({ kind: 'value', text: `${path}: ${path.endsWith('gz') ? 'equal' : short(host)}` })
    }
    const model = cpus()[0]?.model.trim() ?? ''
    if (model !== '' && (await textInside(guest, '/proc/cpuinfo')).includes(model))
      seen.push({ kind: 'value', text: `/proc/cpuinfo: ${model}` })
    return conclude({
      seen,
      controls: [await sees(guest), { what: `the host is ${release()}`, held: version() !== '' }],
      leak: kernel.shared
        ? 'The guest knows the host’s kernel build: which holes are open.'
        : 'The guest has a kernel of its own, but knows the host’s processor.',
      contained: `The guest sees ${kernel.name}, which is not the host’s.`,
    })
  },
)

/** Names and sizes, not counters: these are compared line by line. */
const BLOCK_FILES = ['/proc/partitions', '/proc/diskstats', '/proc/swaps']
const BLOCK_FOLDERS = ['/sys/block', '/sys/class/block', '/sys/fs/ext4', '/proc/fs/ext4', '/proc/fs/jbd2']

export const blockDevices: Probe = lookingProbe(
  {
    id: 'I16',
    slug: 'in.host.block',
    asset: 'host disks',
    question: 'Does a guest learn which disks the host has?',
    method: `Disk names in ${[...BLOCK_FILES, ...BLOCK_FOLDERS].join(', ')} inside are compared with the host’s.`,
    references: ['CWE-497', 'ContainerLeaks'],
    remedy: 'Mask these paths (linux.maskedPaths).',
  },
  async (guest) => {
    const seen: Evidence[] = []
    const disks = await readdir('/sys/class/block').catch(() => [])
    const used = disks.filter((name) => !/^(loop|ram)\d/.test(name))
    if (used.length === 0) return absent('this host has no disk')
    for (const path of BLOCK_FILES) {
      const words = new Set((await textInside(guest, path)).split(/[\s/]+/))
      const found = used.filter((name) => words.has(name))
      if (found.length > 0) seen.push({ kind: 'value', text: `${path}: ${found.join(' ')}` })
    }
    for (const path of BLOCK_FOLDERS) {
      const names = await namesInside(guest, path)
      const found = used.filter((name) => names.some((one) => one === name || one.startsWith(`${name}-`)))
      if (found.length > 0) seen.push({ kind: 'path', text: `${path}: ${found.join(' ')}` })
    }
    return conclude({
      seen,
      controls: [await sees(guest), { what: 'the host has disks', held: used.length > 0 }],
      leak: 'The guest sees the host’s disks by name.',
      contained: 'None of the host’s disks is named inside.',
    })
  },
)

export const SAME_AS_HOST: readonly Probe[] = [bootId, bootArguments, kernelBuild, blockDevices]
