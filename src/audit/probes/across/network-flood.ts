/** Masses of packets between neighbours: who is slowed down by them, and who pays for the work they make. */
import { readFileSync } from 'node:fs'
import { charged } from '../../control-group.ts'
import type { Call, Guest } from '../../guest-types.ts'
import { beside, MEASURED, tryInterference } from '../../interference.ts'
import { inetAddress } from '../../packets.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import { listProcesses } from '../../processes.ts'
import { absent, conclude, inconclusive } from '../../verdict.ts'
import type { Finding } from '../../verdict.ts'
import { across } from './neighbours.ts'
import { connected, gatewayOf, NO_NETWORK } from './network.ts'
import type { Connected } from './network.ts'

const [ASK, ANSWER, FLOODED] = [4712, 4713, 4714]
const [SOL_SOCKET, SO_RCVTIMEO] = [1, 20]
const SIZE = 64

/** A UDP socket at this port that speaks with one other only; a packet that is lost costs 50 ms and not for ever. */
async function speakWith(guest: Guest, port: number, host: string, other: number): Promise<bigint> {
  const patience = Buffer.alloc(16)
  patience.writeBigInt64LE(50_000n, 8)
  const answers = await guest.batch([
    { name: 'socket', args: [2, 2, 0], ends: true },
    { name: 'bind', args: [{ result: 0 }, { in: inetAddress('0.0.0.0', port) }, 16], ends: true },
    { name: 'connect', args: [{ result: 0 }, { in: inetAddress(host, other) }, 16], ends: true },
    { name: 'setsockopt', args: [{ result: 0 }, SOL_SOCKET, SO_RCVTIMEO, { in: patience }, 16] },
  ])
  const failed = answers.find(({ error }) => error !== '')
  if (failed !== undefined) throw new Error(`a socket inside failed: ${failed.error}`)
  return answers[0]?.value ?? -1n
}

/** The victim's work: a packet to another container and back, over the network that all share. */
async function conversation(asks: Connected, answers: Connected): Promise<() => Promise<readonly bigint[]>> {
  const ask = await speakWith(asks.guest, ASK, answers.host, ANSWER)
  const answer = await speakWith(answers.guest, ANSWER, asks.host, ASK)
  const send = (fd: bigint): Call => ({
    name: 'sendto',
    args: [fd, { in: Buffer.alloc(SIZE) }, SIZE, 0, 0, 0],
  })
  const receive = (fd: bigint): Call => ({ name: 'recvfrom', args: [fd, { out: SIZE }, SIZE, 0, 0, 0] })
  return async () => {
    const echo = [{ ...receive(answer), ends: true }, send(answer)]
    const echoing = answers.guest.repeat(echo, { milliseconds: MEASURED + 100 })
    const { nanoseconds } = await asks.guest.repeat([send(ask), receive(ask)], {
      times: 20_000,
      milliseconds: MEASURED,
    })
    await echoing
    return nanoseconds
  }
}

/** Small packets by two processes; how often 400 of them went out. */
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
  return async (milliseconds) => (await from.repeat(calls, { milliseconds, processes: 2 })).rounds
}

/** So that packets end in a socket, and no errors go back. */
async function takeAll(guest: Guest): Promise<void> {
  await guest.batch([
    { name: 'socket', args: [2, 2, 0], ends: true },
    { name: 'bind', args: [{ result: 0 }, { in: inetAddress('0.0.0.0', FLOODED) }, 16] },
  ])
}

const trial = {
  most: 1.5,
  what: 'a packet to another container and back',
  unit: 'times 400 packets',
} as const

export const sendFlood: Probe = {
  ...across,
  id: 'A10',
  slug: 'across.net.send-flood',
  asset: 'resources',
  question: "Does a neighbour that sends masses of small packets slow another container's network down?",
  method:
    "Two senders to the gateway in one container; another one's packets to a third and back are timed, in turns with quiet.",
  references: ['Matthews 2007', 'T1498'],
  remedy: 'Give containers --cpus; shape their traffic (tc) where the engine does not.',
  interference: 'bounded',
  async run(context) {
    const [victim, echo, neighbour] = [
      await connected(context),
      await connected(context),
      await connected(context),
    ]
    if (victim === undefined || echo === undefined || neighbour === undefined) return absent(NO_NETWORK)
    const gateway = await gatewayOf(neighbour.guest)
    if (gateway === undefined) return absent('the container has no gateway')
    const measure = await conversation(victim, echo)
    const own = flood(await context.guest(victim.subject), gateway)
    return tryInterference({
      ...trial,
      measure,
      load: flood(neighbour.guest, gateway),
      felt: {
        what: 'beside the same flood from its own container',
        measure: async () => (await beside(own, measure)).took,
      },
      signal: context.signal,
    })
  },
}

export const receiveFlood: Probe = {
  ...across,
  id: 'A11',
  slug: 'across.net.recv-flood',
  asset: 'resources',
  question: "Does a neighbour that receives masses of small packets slow another container's network down?",
  method:
    "A container floods its neighbour; a third one's packets to a fourth and back are timed, in turns with quiet.",
  references: ['Matthews 2007'],
  remedy: 'Give containers --cpus; shape their traffic (tc) where the engine does not.',
  interference: 'bounded',
  async run(context) {
    const [victim, echo] = [await connected(context), await connected(context)]
    const [neighbour, sender] = [await connected(context), await connected(context)]
    if (victim === undefined || echo === undefined || neighbour === undefined || sender === undefined)
      return absent(NO_NETWORK)
    await takeAll(neighbour.guest)
    await takeAll(victim.guest)
    const measure = await conversation(victim, echo)
    return tryInterference({
      ...trial,
      measure,
      load: flood(sender.guest, neighbour.host),
      felt: {
        what: 'while it receives the same flood itself',
        measure: async () => (await beside(flood(sender.guest, victim.host), measure)).took,
      },
      signal: context.signal,
    })
  },
}

const ROUNDS = 5
/** ms */
const LOADED = 300
/** Of what is charged. */
const MOST = 0.1

/** ns that all threads of the kernel have run (schedstat); their father is kthreadd. */
async function kernelThreads(): Promise<number> {
  const threads = (await listProcesses()).filter(({ parent }) => parent === 2)
  return threads.reduce((sum, { pid }) => sum + Number(stat(`/proc/${pid}/schedstat`).split(' ')[0] ?? 0), 0)
}

function stat(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

interface Share {
  readonly inside: number
  /** Beyond what as long a quiet time has. */
  readonly outside: number
}

async function shareOf(
  neighbour: Connected,
  load: (milliseconds: number) => Promise<number>,
): Promise<Share> {
  const start = await kernelThreads()
  await new Promise((resolve) => setTimeout(resolve, LOADED))
  const [quiet, before] = [await kernelThreads(), charged(neighbour.subject.pid)]
  await load(LOADED)
  const [busy, after] = [await kernelThreads(), charged(neighbour.subject.pid)]
  return { inside: after - before, outside: Math.max(0, busy - quiet - (quiet - start)) }
}

export function judgeShares(shares: readonly Share[], sent: number): Finding {
  const sorted = shares.map(({ inside, outside }) => outside / Math.max(inside, 1)).toSorted((a, b) => a - b)
  const [least = 0, most = 0] = [sorted[1], sorted.at(-2)]
  const [from, to] = [least, most].map((share) => `${(share * 100).toFixed(0)} %`)
  const text = `threads of the kernel worked ${from} to ${to} of what the sender was charged`
  const controls = [
    { what: `the neighbour sent (${sent} times 400 packets)`, held: sent > 0 },
    { what: 'it was charged for its own work', held: shares.every(({ inside }) => inside > 1e6) },
  ]
  if (least <= MOST && most > MOST)
    return inconclusive(`the rounds differ too much: ${text} (audit while the machine is quiet)`, controls)
  return conclude({
    seen: least > MOST ? [{ kind: 'measurement', text }] : [],
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
  method: `A container floods another one, ${ROUNDS} times; what the kernel's own threads (ksoftirqd, napi, kworker) run beyond as long a quiet time is compared with what its group is charged.`,
  references: ['Houdini 5', 'Iron'],
  remedy: 'Give containers --cpus and shape their traffic (tc); no threaded NAPI on their interfaces.',
  interference: 'bounded',
  async run(context: ProbeContext) {
    const [neighbour, receiver] = [await connected(context), await connected(context)]
    if (neighbour === undefined || receiver === undefined) return absent(NO_NETWORK)
    await takeAll(receiver.guest)
    let sent = 0
    const load = async (milliseconds: number): Promise<number> => {
      const rounds = await flood(neighbour.guest, receiver.host)(milliseconds)
      sent += rounds
      return rounds
    }
    const shares: Share[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      context.signal.throwIfAborted()
      shares.push(await shareOf(neighbour, load))
    }
    return judgeShares(shares, sent)
  },
}
