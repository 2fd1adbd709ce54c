/** Masses of packets between neighbours: who is slowed down by them, and who pays for the work they make. */
import { randomInt } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { agreement, middle } from '../../agreement.ts'
import { contend, inContainers } from '../../contention.ts'
import type { Side } from '../../contention.ts'
import { charged } from '../../control-group.ts'
import type { Call, Guest } from '../../guest-types.ts'
import { inetAddress, sendUdp } from '../../packets.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import { absent, conclude, inconclusive } from '../../verdict.ts'
import type { Finding } from '../../verdict.ts'
import { across } from './neighbours.ts'
import { connected, NO_NETWORK } from './network.ts'
import type { Connected } from './network.ts'

const FLOODED = 4714
const SIZE = 64
const [SOL_SOCKET, SO_RCVTIMEO] = [1, 20]

/** Small packets by as many processes as there are processors; how often 400 of them went out. */
function flood(from: Guest, to: string): (milliseconds: number) => Promise<number> {
  const address = { in: inetAddress(to, FLOODED) }
  const send: Call = {
    name: 'sendto',
    args: [{ result: 0 }, { in: Buffer.alloc(SIZE) }, SIZE, 0x40, address, 16],
  }
  const calls: readonly Call[] = [
    { name: 'socket', args: [2, 2, 0], ends: true },
    ...Array.from({ length: 400 }, () => send),
    { name: 'close', args: [{ result: 0 }] },
  ]
  return async (milliseconds) =>
    (await from.repeat(calls, { milliseconds, processes: Math.max(2, cpus().length) })).rounds
}

/** So that packets end in a socket, and no errors go back. Who reads from it waits for 50 ms at most. */
async function takeAll(guest: Guest): Promise<bigint> {
  const patience = Buffer.alloc(16)
  patience.writeBigInt64LE(50_000n, 8)
  const [socket] = await guest.batch([
    { name: 'socket', args: [2, 2, 0], ends: true },
    { name: 'bind', args: [{ result: 0 }, { in: inetAddress('0.0.0.0', FLOODED) }, 16], ends: true },
    { name: 'setsockopt', args: [{ result: 0 }, SOL_SOCKET, SO_RCVTIMEO, { in: patience }, 16] },
  ])
  return socket?.value ?? -1n
}

/** Packets that came to the container, by all its interfaces but its own loopback. */
async function received(guest: Guest): Promise<number> {
  const lines = (await guest.readFile('/proc/net/dev')).toString().split('\n')
  const rows = lines.map((line) => /^\s*(\S+):\s*\d+\s+(\d+)/.exec(line))
  return rows.reduce((sum, row) => sum + (row === null || row[1] === 'lo' ? 0 : Number(row[2])), 0)
}

interface Conversation {
  readonly from: Connected
  readonly to: Connected
  readonly socket: bigint
}

async function conversation(context: ProbeContext): Promise<Conversation | undefined> {
  const [from, to] = [await connected(context), await connected(context)]
  if (from === undefined || to === undefined) return undefined
  return { from, to, socket: await takeAll(to.guest) }
}

const FEW = 20

/** A few packets, slowly: what is sent is counted where it arrives, when the kernel has come to it. */
async function isCounted({ from, to }: Conversation, signal: AbortSignal): Promise<boolean> {
  for (let tries = 0; tries < 3; tries += 1) {
    const before = await received(to.guest)
    for (let packet = 0; packet < FEW; packet += 1)
      await sendUdp(from.guest, to.host, FLOODED, Buffer.alloc(SIZE))
    for (let looks = 0; looks < 40; looks += 1) {
      signal.throwIfAborted()
      if ((await received(to.guest)) - before >= FEW * 0.75) return true
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
  return false
}

/** Who sends wants all there is. */
function sending({ from, to }: Conversation): Side {
  return inContainers([from.subject, to.subject], {
    demand: flood(from.guest, to.host),
    given: () => received(to.guest),
  })
}

/** Who receives wants all there is: what it read counts, not what its interface threw away. */
function receiving({ from, to, socket }: Conversation): Side {
  const read: Call = { name: 'recvfrom', args: [socket, { out: SIZE }, SIZE, 0, 0, 0] }
  const send = flood(from.guest, to.host)
  let count = 0
  return inContainers([from.subject, to.subject], {
    given: async () => count,
    async demand(milliseconds) {
      const [{ rounds }, sent] = await Promise.all([
        to.guest.repeat([read], { milliseconds }),
        send(milliseconds),
      ])
      count += rounds
      return sent
    },
  })
}

async function contendForNetwork(
  context: ProbeContext,
  side: (conversation: Conversation) => Side,
  what: string,
): Promise<Finding> {
  const [victim, neighbour] = [await conversation(context), await conversation(context)]
  if (victim === undefined || neighbour === undefined) return absent(NO_NETWORK)
  const { signal } = context
  const counted = (await isCounted(victim, signal)) && (await isCounted(neighbour, signal))
  return contend({
    ...{ victim: side(victim), neighbour: side(neighbour), most: 1.5, what, signal },
    controls: [{ what: 'what each of them sends slowly is counted where it arrives', held: counted }],
  })
}

const network = {
  ...across,
  asset: 'resources',
  remedy: 'Give containers --cpus. Dropping their packets (tc) does not give the processor back.',
  interference: 'bounded',
  timeout: 120_000,
} as const

export const sendFlood: Probe = {
  ...network,
  id: 'A10',
  slug: 'across.net.send-flood',
  question: "Does a neighbour that sends masses of small packets take from another container's sending?",
  method:
    'Two containers send as many small packets as they can, each to one more; it is counted what processor time each pair is given, and told what arrives.',
  references: ['Matthews 2007', 'T1498'],
  run: (context) => contendForNetwork(context, sending, 'both send all they can'),
}

export const receiveFlood: Probe = {
  ...network,
  id: 'A11',
  slug: 'across.net.recv-flood',
  question: "Does a neighbour that receives masses of small packets take from another container's receiving?",
  method:
    'Two containers are sent as many small packets as one more each can; it is counted what processor time each pair is given, and told what the programs inside read.',
  references: ['Matthews 2007'],
  run: (context) => contendForNetwork(context, receiving, 'both receive all they can'),
}

/** ms */
const STRETCH = 250
/** Of what is charged. */
const MOST = 0.1

/**
 * ns that the kernel's threads for packets have run (schedstat); their father is kthreadd. Not its other threads: they
 * work for everybody's disks.
 */
function packetThreads(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && /^(ksoftirqd|napi)\//.test(textOf(`/proc/${name}/comm`)))
    .map(Number)
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** A stretch of time with the load, and one as long without. */
export interface Share {
  /** ns that the sender was charged. */
  readonly inside: number
  /** ns that the kernel's threads ran. */
  readonly outside: number
  readonly quiet: number
}

/** ns: who was charged less has hardly sent, and that nothing more was done proves nothing. */
const LEAST_PAID = 1e6

export function judgeShares(shares: readonly Share[], sent: number): Finding | undefined {
  const parts = shares.map(({ inside, outside, quiet }) => (outside - quiet) / Math.max(inside, 1))
  const paid = shares.map(({ inside }) => inside > LEAST_PAID)
  const agreed = agreement(
    parts.map((part) => part > MOST),
    parts.map((part, round) => part <= MOST && paid[round] === true),
  )
  if (agreed === 'more') return undefined
  const text = `threads of the kernel worked ${(middle(parts) * 100).toFixed(0)} % of what the sender was charged (${shares.length} rounds)`
  const controls = [
    { what: `the neighbour sent (${sent} times 400 packets)`, held: sent > 0 },
    { what: 'it was charged for its own work', held: paid.filter(Boolean).length > shares.length / 2 },
  ]
  if (agreed === 'unclear')
    return inconclusive(`the rounds differ too much: ${text} (audit while the machine is quiet)`, controls)
  return conclude({
    seen: agreed === 'yes' ? [{ kind: 'measurement', text }] : [],
    controls,
    leak: 'Work for the packets of a container is done outside its control group, and nobody is charged.',
    contained: `The sender pays: ${text}.`,
  })
}

export const softirqTime: Probe = {
  ...across,
  id: 'A13',
  slug: 'across.net.softirq',
  asset: 'accounting',
  question: "Does the kernel's work for a container's packets cost others, because its group is not charged?",
  method:
    "A container floods another one; what the kernel's own threads for packets (ksoftirqd, napi) run beyond as long a quiet time, before or after by lot, is compared with what its group is charged.",
  references: ['Houdini 5', 'Iron'],
  remedy: 'Give containers --cpus and shape their traffic (tc); no threaded NAPI on their interfaces.',
  interference: 'bounded',
  async run(context: ProbeContext) {
    const [neighbour, receiver] = [await connected(context), await connected(context)]
    if (neighbour === undefined || receiver === undefined) return absent(NO_NETWORK)
    await takeAll(receiver.guest)
    const threads = packetThreads()
    const ran = (): number =>
      threads.reduce((sum, pid) => sum + Number(textOf(`/proc/${pid}/schedstat`).split(' ')[0] ?? 0), 0)
    const send = flood(neighbour.guest, receiver.host)
    let sent = 0
    const loaded = async (): Promise<Pick<Share, 'inside' | 'outside'>> => {
      const [before, paid] = [ran(), charged(neighbour.subject.pid)]
      sent += await send(STRETCH)
      return { outside: ran() - before, inside: charged(neighbour.subject.pid) - paid }
    }
    const quiet = async (): Promise<Pick<Share, 'quiet'>> => {
      const before = ran()
      await new Promise((resolve) => setTimeout(resolve, STRETCH))
      return { quiet: ran() - before }
    }
    const shares: Share[] = []
    for (;;) {
      context.signal.throwIfAborted()
      shares.push(
        randomInt(2) === 0
          ? { ...(await quiet()), ...(await loaded()) }
          : { ...(await loaded()), ...(await quiet()) },
      )
      const finding = judgeShares(shares, sent)
      if (finding !== undefined) return finding
    }
  },
}
