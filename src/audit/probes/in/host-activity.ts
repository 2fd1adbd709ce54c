/** What the host does, seen in counters inside: the host makes a change of a known size, and the guest's file moves with it. */
import { closeSync } from 'node:fs'
import type { Guest } from '../../guest-types.ts'
import { hostCommand } from '../../host-command.ts'
import { openMany } from '../../open-many.ts'
import type { Probe } from '../../probe.ts'
import type { Control, Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import type { Finding } from '../../verdict.ts'
import { lookingProbe, sees, textInside, textOnHost } from './inside.ts'

/** Each number with the words of its line before it, which say what it counts. */
export function numbersIn(text: string): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>()
  let section = ''
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\S.*\bzone\b/.test(line)) section = line
    const words = line.trim().split(/[\s:=,]+/)
    const name = words.find((word) => !/^-?[\d.]+$/.test(word)) ?? `line ${index}`
    words.forEach((word, column) => {
      if (/^-?\d+(\.\d+)?$/.test(word)) numbers.set(`${section} ${name} ${column}`.trim(), Number(word))
    })
  }
  return numbers
}

interface Reading {
  readonly host: ReadonlyMap<string, number>
  readonly inside: ReadonlyMap<string, number>
}

async function readBoth(guest: Guest, paths: readonly string[]): Promise<Readings> {
  const readings = new Map<string, Reading>()
  for (const path of paths) {
    const host = numbersIn(await textOnHost(path))
    readings.set(path, { host, inside: numbersIn(await textInside(guest, path)) })
  }
  return readings
}

/** Counters whose change inside is the host's own change, within a quarter, and at least this much. */
function movedTogether(before: Reading, after: Reading, least: number): readonly string[] {
  const change = (side: 'host' | 'inside', key: string): number =>
    (after[side].get(key) ?? 0) - (before[side].get(key) ?? Number.NaN)
  return [...before.host.keys()].filter((key) => {
    const [host, inside] = [change('host', key), change('inside', key)]
    return Math.abs(host) >= least && inside / host > 0.75 && inside / host < 1.34
  })
}

function hostMoved(before: Reading, after: Reading, least: number): boolean {
  return [...before.host.keys()].some(
    (key) => Math.abs((after.host.get(key) ?? 0) - (before.host.get(key) ?? 0)) >= least,
  )
}

interface Drive {
  readonly paths: readonly string[]
  /** In the counters' own unit. */
  readonly least: number
  /** Makes the change and keeps it until the answer is called. */
  readonly act: () => Promise<() => void>
  readonly leak: string
  readonly contained: string
}

/** Others may undo on the host what it did, in just that moment (close as many files): then its counters stand still. */
const TRIES = 5

async function drive(guest: Guest, { paths, least, act, leak, contained }: Drive): Promise<Finding> {
  const judged = { least, leak, contained, sees: await sees(guest) }
  for (let tries = 1; ; tries += 1) {
    const before = await readBoth(guest, paths)
    const undo = await act()
    const after = await readBoth(guest, paths).finally(undo)
    const finding = judgeReadings(before, after, judged)
    if (finding.verdict !== 'INCONCLUSIVE' || tries === TRIES) return finding
  }
}

export interface Judged extends Pick<Drive, 'least' | 'leak' | 'contained'> {
  readonly sees: Control
}

type Readings = ReadonlyMap<string, Reading>

export function judgeReadings(before: Readings, after: Readings, judged: Judged): Finding {
  const { least, leak, contained } = judged
  const there = [...before].filter(([, { host }]) => host.size > 0).map(([path]) => path)
  if (there.length === 0) return absent(`the host has none of ${[...before.keys()].join(', ')}`)
  const seen: Evidence[] = []
  const moved: string[] = []
  for (const path of there) {
    const [first, second] = [before.get(path), after.get(path)]
    if (first === undefined || second === undefined) continue
    if (hostMoved(first, second, least)) moved.push(path)
    const together = movedTogether(first, second, least)
    const [key] = together
    if (key === undefined) continue
    const [from, to] = [first.inside.get(key), second.inside.get(key)]
    const more = together.length > 1 ? ` and ${together.length - 1} more` : ''
    seen.push({ kind: 'measurement', text: `${path}: ${key}: ${from} → ${to}${more}` })
  }
  // What does not move on the host cannot move inside: that proves nothing.
  const what = `the host’s own counters moved with what it did (${moved.join(', ') || `none of ${there.join(', ')}`})`
  return conclude({ seen, controls: [judged.sees, { what, held: moved.length > 0 }], leak, contained })
}

const MASK =
  'Mask these files or serve the container’s own slice (lxcfs, dewar’s slice view), or use gvisor or microvm.'
const FORKS = 1000

export const statDelta: Probe = lookingProbe(
  {
    id: 'I08',
    slug: 'in.proc.stat-delta',
    asset: 'host activity',
    question: 'Does a guest see how many processes, interrupts and switches the host makes?',
    method: `The host starts ${FORKS} short processes; counters inside that move with the host’s own are a leak.`,
    references: ['CWE-203', 'ContainerLeaks'],
    remedy: MASK,
    interference: 'bounded',
  },
  (guest) =>
    drive(guest, {
      paths: ['/proc/stat', '/proc/softirqs', '/proc/interrupts', '/proc/schedstat', '/proc/vmstat'],
      least: FORKS * 0.8,
      act: async () => {
        await hostCommand(['sh', '-c', `i=0; while [ $i -lt ${FORKS} ]; do (:); i=$((i+1)); done`])
        return () => undefined
      },
      leak: 'Counters inside move with what the host does.',
      contained: 'No counter inside moved with the host’s.',
    }),
)

const MEBIBYTES = 128

export const memoryDelta: Probe = lookingProbe(
  {
    id: 'I09',
    slug: 'in.proc.mem-delta',
    asset: 'host activity',
    question: 'Does a guest see how much memory the host uses?',
    method: `The host touches ${MEBIBYTES} MiB; counters inside that move with the host’s own are a leak.`,
    references: ['CWE-203', 'ContainerLeaks'],
    remedy: MASK,
    interference: 'bounded',
  },
  (guest) =>
    drive(guest, {
      paths: [
        ...['/proc/meminfo', '/proc/vmstat', '/proc/zoneinfo', '/proc/buddyinfo'],
        ...['/sys/devices/system/node/node0/meminfo', '/sys/devices/system/node/node0/numastat'],
        '/sys/devices/system/node/node0/vmstat',
      ],
      // In pages; kB are four times as many.
      least: MEBIBYTES * 256 * 0.6,
      act: async () => {
        let held: Buffer | undefined = Buffer.allocUnsafeSlow(MEBIBYTES << 20).fill(1)
        return () => {
          held = held?.subarray(0, 0)
        }
      },
      leak: 'Counters inside move with the host’s memory.',
      contained: 'No counter inside moved with the host’s memory.',
    }),
)

/** Many, so that what others open and close meanwhile is little beside it. */
const FILES = 6000
/** A limit of open files may allow no more than 4,096. */
const LEAST_FILES = 1600

export const fileCounters: Probe = lookingProbe(
  {
    id: 'I11',
    slug: 'in.proc.fs-counters',
    asset: 'host activity',
    question: 'Does a guest see how many files the host has open?',
    method: `The host opens ${FILES} files; counters inside that move with the host’s own are a leak.`,
    references: ['CWE-203', 'ContainerLeaks'],
    remedy: MASK,
    interference: 'bounded',
  },
  (guest) =>
    drive(guest, {
      paths: [
        ...['/proc/sys/fs/file-nr', '/proc/sys/fs/inode-nr', '/proc/sys/fs/inode-state'],
        ...['/proc/sys/fs/dentry-state', '/proc/sys/fs/aio-nr'],
      ],
      least: LEAST_FILES,
      act: async () => {
        const files = openMany(FILES)
        return () => files.forEach((file) => closeSync(file))
      },
      leak: 'A guest reads how many files the host has open.',
      contained: 'No counter inside moved with the host’s files.',
    }),
)

export const loadAndUptime: Probe = lookingProbe(
  {
    id: 'I07',
    slug: 'in.proc.load-uptime',
    asset: 'host activity',
    question: 'Does a guest read the host’s load, pressure or uptime?',
    method:
      'loadavg, uptime, btime and pressure inside are compared with the host’s, read just before and after.',
    references: ['CWE-497', 'ContainerLeaks', 'lxcfs#13'],
    remedy: 'A time namespace hides the uptime; a slice view (lxcfs, dewar) or a kernel of its own the rest.',
  },
  async (guest) => {
    const seen: Evidence[] = []
    const between = async (path: string, pick: (text: string) => number, slack: number): Promise<void> => {
      const first = pick(await textOnHost(path))
      const inside = pick(await textInside(guest, path))
      const last = pick(await textOnHost(path))
      if (last > 0 && inside > 0 && inside >= first - slack && inside <= last + slack)
        seen.push({ kind: 'value', text: `${path}: ${inside}, on the host ${last}` })
    }
    const first = (text: string): number => Number(text.split(' ')[0] ?? Number.NaN)
    await between('/proc/uptime', first, 0.02)
    await between('/proc/stat', (text) => Number(/^btime (\d+)/m.exec(text)?.[1]), 1)
    for (const what of ['cpu', 'io', 'memory'])
      await between(`/proc/pressure/${what}`, (text) => Number(/total=(\d+)/.exec(text)?.[1]), 0)
    const load = (await textOnHost('/proc/loadavg')).split(' ').slice(0, 3).join(' ')
    const inside = (await textInside(guest, '/proc/loadavg')).split(' ').slice(0, 3).join(' ')
    if (load === inside && !/^[0. ]*$/.test(load))
      seen.push({ kind: 'value', text: `/proc/loadavg: ${inside}` })
    return conclude({
      seen,
      controls: [
        await sees(guest),
        { what: 'the host’s uptime is known', held: first(await textOnHost('/proc/uptime')) > 0 },
      ],
      leak: 'The guest reads how busy the host is, or how long it runs.',
      contained: 'Load, pressure and uptime inside are not the host’s.',
    })
  },
)

export const HOST_ACTIVITY: readonly Probe[] = [loadAndUptime, statDelta, memoryDelta, fileCounters]
