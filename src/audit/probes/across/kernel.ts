/** Channels through the kernel between neighbours: locks, page cache, signals. */
import { readFileSync } from 'node:fs'
import { randomInt } from 'node:crypto'
import type { Guest } from '../../guest-types.ts'
import { SHARED_FILE } from '../../image.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import { across, neighbours } from './neighbours.ts'

const F_GETLK = 5
const F_SETLK = 6
const [F_RDLCK, F_WRLCK, F_UNLCK] = [0, 1, 2]
const BITS = 12

/** struct flock over one byte. */
function flock(type: number, byte: number): Buffer {
  const bytes = Buffer.alloc(32)
  bytes.writeInt16LE(type, 0)
  bytes.writeBigInt64LE(BigInt(byte), 8)
  bytes.writeBigInt64LE(1n, 16)
  return bytes
}

async function openNamespace(guest: Guest): Promise<bigint> {
  return (await guest.syscall('openat', -100, { in: '/proc/self/ns/time\0' }, 0)).value
}

async function sendBit(guest: Guest, fd: bigint, byte: number, bit: boolean): Promise<string> {
  return (await guest.syscall('fcntl', fd, F_SETLK, { in: flock(bit ? F_RDLCK : F_UNLCK, byte) })).error
}

async function readBit(guest: Guest, fd: bigint, byte: number): Promise<boolean> {
  const { out } = await guest.syscall('fcntl', fd, F_GETLK, { inout: flock(F_WRLCK, byte) })
  return out[0] !== undefined && out[0].readInt16LE(0) !== F_UNLCK
}

/** How many of the random bits arrive. */
async function transmit(from: Guest, to: Guest): Promise<{ readonly sent: boolean; readonly right: number }> {
  const [sender, receiver] = [await openNamespace(from), await openNamespace(to)]
  let [right, sent] = [0, true]
  for (let byte = 0; byte < BITS; byte += 1) {
    // Both values occur, the rest is random.
    const bit = byte < 2 ? byte === 0 : randomInt(2) === 1
    if ((await sendBit(from, sender, byte, bit)) !== '') sent = false
    if ((await readBit(to, receiver, byte)) === bit) right += 1
    await sendBit(from, sender, byte, false)
  }
  return { sent, right }
}

export const timeLock: Probe = {
  ...across,
  id: 'A21',
  slug: 'across.covert.timens-lock',
  asset: 'covert channel',
  question: 'Can two containers send each other bits with locks on the file of a shared time namespace?',
  method: `One container locks bytes of /proc/self/ns/time, ${BITS} random bits; the other asks for the locks.`,
  references: ['moby#52326', 'CWE-515'],
  remedy: 'Use an engine that gives each container a time namespace of its own (Docker from 29.5).',
  interference: 'none',
  async run(context) {
    const { victim, inVictim, inNeighbour } = await neighbours(context)
    const second = await context.guest(victim)
    if ((await openNamespace(inVictim)) < 0n) return absent('there is no time namespace inside')
    const own = await transmit(inVictim, second)
    const { sent, right } = await transmit(inNeighbour, inVictim)
    return conclude({
      seen: right === BITS ? [{ kind: 'measurement', text: `${right} of ${BITS} random bits arrived` }] : [],
      controls: [
        { what: 'two processes of one container send each other all bits', held: own.right === BITS },
        { what: 'the neighbour can lock', held: sent },
      ],
      leak: 'Locks on the time namespace carry bits from one container to another.',
      contained: `No more than chance: ${right} of ${BITS} bits.`,
    })
  },
}

const POSIX_FADV_DONTNEED = 4
const PAGE = 4096
const MAP_SHARED = 1

/** Whether the first page of the shared file is in memory. */
async function resident(guest: Guest): Promise<boolean> {
  const [, , core] = await guest.batch([
    { name: 'openat', args: [-100, { in: `${SHARED_FILE}\0` }, 0], ends: true },
    { name: 'mmap', args: [0, PAGE, 1, MAP_SHARED, { result: 0 }, 0], ends: true },
    { name: 'mincore', args: [{ result: 1 }, PAGE, { out: 1 }] },
    { name: 'munmap', args: [{ result: 1 }, PAGE] },
    { name: 'close', args: [{ result: 0 }] },
  ])
  return ((core?.out[0]?.[0] ?? 0) & 1) === 1
}

async function evict(guest: Guest): Promise<void> {
  await guest.batch([
    { name: 'openat', args: [-100, { in: `${SHARED_FILE}\0` }, 0], ends: true },
    { name: 'fadvise64', args: [{ result: 0 }, 0, 0, POSIX_FADV_DONTNEED] },
    { name: 'close', args: [{ result: 0 }] },
  ])
}

/** Random bits by reading, or not, a page that was thrown out of memory before. */
async function throughCache(from: Guest, to: Guest): Promise<number> {
  let right = 0
  for (let round = 0; round < BITS; round += 1) {
    const bit = round < 2 ? round === 0 : randomInt(2) === 1
    await evict(to)
    if (bit) await from.readFile(SHARED_FILE)
    if ((await resident(to)) === bit) right += 1
  }
  return right
}

export const sharedInode: Probe = {
  ...across,
  id: 'A23',
  slug: 'across.layer.shared-inode',
  asset: 'page cache',
  question: 'Do two containers of one image share the pages of its files in memory?',
  method: `One container reads a file of the image or not, ${BITS} random bits; the other sees whether it is cached.`,
  references: ['CVE-2026-31431', 'CVE-2022-0847', 'CWE-653'],
  remedy: 'Give tenants who do not trust each other copies of the image of their own.',
  interference: 'none',
  async run(context) {
    const { victim, inVictim, inNeighbour } = await neighbours(context)
    const own = await throughCache(await context.guest(victim), inVictim)
    const right = await throughCache(inNeighbour, inVictim)
    const [a, b] = [await inVictim.stat(SHARED_FILE), await inNeighbour.stat(SHARED_FILE)]
    const seen: Evidence[] = []
    if (right === BITS) seen.push({ kind: 'measurement', text: `${right} of ${BITS} random bits arrived` })
    if (seen.length > 0 && a.inode === b.inode)
      seen.push({ kind: 'value', text: `both have inode ${a.inode}` })
    return conclude({
      seen,
      controls: [
        { what: `within one container all bits arrive (${own} of ${BITS})`, held: own === BITS },
        { what: 'both have the file', held: a.size === b.size && a.size > 0 },
      ],
      leak: 'Containers of one image share pages: each sees what the other reads, and a kernel flaw reaches all.',
      contained: `No more than chance: ${right} of ${BITS} bits.`,
    })
  },
}

const KEY = 0x1dea5eed
const IPC_CREAT = 0o1000

export const signals: Probe = {
  ...across,
  id: 'A31',
  slug: 'across.proc.signal',
  asset: 'processes',
  question: "Does a container reach another one's processes or its shared memory?",
  method:
    "One container lists /proc, signals (with 0) the other's pids, and asks for its System V memory by key.",
  references: ['CWE-653'],
  remedy: 'Give each container PID and IPC namespaces of its own (no --pid=host, --ipc=host or shared ones).',
  interference: 'none',
  async run(context) {
    const words = { words: [`deadbeef${randomInt(2 ** 40).toString(16)}`] }
    const { victim, inVictim, inNeighbour } = await neighbours(context, { victim: words })
    const memory = await inVictim.syscall('shmget', KEY, PAGE, IPC_CREAT | 0o600)
    const again = await inVictim.syscall('shmget', KEY, 0, 0)
    const foreign = await inNeighbour.syscall('shmget', KEY, 0, 0)
    const seen: Evidence[] = []
    if (foreign.error === '') seen.push({ kind: 'syscall', text: "shmget finds the victim's memory" })
    for (const { name } of await inNeighbour.listFolder('/proc')) {
      if (!/^\d+$/.test(name)) continue
      const line = await inNeighbour.readFile(`/proc/${name}/cmdline`).catch(() => Buffer.alloc(0))
      if (line.includes(words.words[0] ?? ''))
        seen.push({ kind: 'process', text: `/proc/${name} is the victim's` })
    }
    const signalled = await inNeighbour.syscall('kill', victim.pid, 0)
    if (signalled.error === '' && victim.pid > 1000)
      seen.push({ kind: 'syscall', text: `kill(${victim.pid}, 0) reaches the victim` })
    await inVictim.syscall('shmctl', memory.value, 0, 0)
    const own = await inVictim.readFile('/proc/1/cmdline')
    return conclude({
      seen,
      controls: [
        { what: 'the victim finds its own memory by key', held: again.error === '' },
        { what: 'the victim sees its own word in /proc', held: own.includes(words.words[0] ?? '') },
      ],
      leak: "A container reaches another one's processes or memory.",
      contained: 'The neighbour finds neither processes nor memory of the victim.',
    })
  },
}

export function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
