/** Names that a container asks for although it has no way out. */
import { isIP, isIPv6 } from 'node:net'
import { makeCanary } from '../../canary.ts'
import { internetAddress } from '../../guest-files.ts'
import type { Answer, Guest } from '../../guest-types.ts'
import { describeFrame, lost, receive, sniff } from '../../packets.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Subject } from '../../target.ts'
import { absent, conclude, inconclusive } from '../../verdict.ts'
import { contentInside, insideProbe } from './inside.ts'
import { gatewayOf, hostSide } from './gateway.ts'

const AF_INET = 2
const AF_INET6 = 10
const DATAGRAM = 2
const NONBLOCKING = 0o4000
/** 100 ms apart. */
const LOOKS = 20

/** A DNS question for an address. */
function question(name: string): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
  const head = Buffer.from([0x4c, 0x43, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, 1, 0, 1])])
}

/** An address of the host that containers with a way out reach: where their default network's gateway is. */
async function resolverOf(context: ProbeContext): Promise<string | undefined> {
  return gatewayOf(await context.guest(await context.create()))
}

interface Watch {
  /** Frames with this word that went to or came from others than the container itself. */
  readonly passed: (word: string, own: string) => Promise<readonly Buffer[]>
  /** Packets that it had no room for. */
  readonly lost: () => Promise<number>
}

/** All interfaces of the host, its loopback among them: whatever resolver the engine asks, the question passes there. */
async function watchNames(host: Guest): Promise<Watch | string> {
  const wire = await sniff(host)
  if (typeof wire === 'string') return wire
  return {
    lost: () => lost(host, wire),
    async passed(word, own) {
      const frames = await receive(host, wire, { asset: 'name', text: word, bytes: Buffer.from(word) })
      const address = Buffer.from(own.split('.').map(Number))
      return frames.filter(
        (frame) => !frame.subarray(26, 30).equals(address) && !frame.subarray(30, 34).equals(address),
      )
    },
  }
}

export const internalDns: Probe = insideProbe(
  {
    id: 'I42',
    slug: 'in.dns.internal',
    asset: 'egress',
    question: 'Do names that a container without a way out asks for leave the host’s network all the same?',
    method:
      'A resolver of the auditor’s on the host; containers on a network with a way out, on an internal one, and on an internal one with the host’s own resolvers ask the name server they were given for a random name. The auditor also listens on all interfaces of the host.',
    references: ['CVE-2024-29018'],
    remedy: 'Update the engine; --network=none.',
    readOnly: false,
    timeout: 120_000,
  },
  async (context) => {
    const { target, create, guest, network } = context
    if (target.client === undefined) return absent('a bare runtime has no networks')
    const resolver = await resolverOf(context)
    if (resolver === undefined) return absent('the container has no gateway')
    const host = await hostSide(context)
    const { value: socket } = await host.syscall('socket', AF_INET, DATAGRAM | NONBLOCKING, 0)
    const at = internetAddress(resolver, 53)
    const bound = await host.syscall('bind', socket, { in: at }, at.length)
    if (bound.error !== '')
      return inconclusive(`the auditor’s resolver could not listen on ${resolver}:53: ${bound.error}`)
    const watch = await watchNames(host)
    if (typeof watch === 'string') return inconclusive(`listening on the host failed: ${watch}`)
    let asked = 0
    const asks = async (internal: boolean, servers: readonly string[]): Promise<string> => {
      const made = await network({ internal })
      if (made === undefined) return ''
      const body = { HostConfig: { Dns: servers } }
      const subject: Subject = await create({ network: { name: made.name }, body })
      const { text } = makeCanary('name')
      const word = text.slice(0, 24)
      asked += (await askName(await guest(subject), `${word}.test`)) ? 1 : 0
      const canary = { asset: 'name', text: word, bytes: Buffer.from(word) }
      const own = (await subject.address()) ?? '0.0.0.0'
      const arrived = async (): Promise<boolean> => (await receive(host, socket, canary)).length > 0
      const { got, passed } = await lookFor(arrived, () => watch.passed(word, own))
      return got
        ? `it reached ${resolver}`
        : passed.length > 0
          ? `it passed (${describeFrame(passed[0] ?? Buffer.alloc(14))})`
          : ''
    }
    const outside = await asks(false, [resolver])
    const inside = {
      'asked of the auditor’s resolver': await asks(true, [resolver]),
      'asked of the host’s own': await asks(true, []),
    }
    const dropped = await watch.lost()
    return conclude({
      seen: Object.entries(inside)
        .filter(([, how]) => how !== '')
        .map(([what, how]) => ({ kind: 'packet', text: `a name from an internal network, ${what}: ${how}` })),
      controls: [
        {
          what: 'a name asked on a network with a way out reaches the resolver',
          held: outside.startsWith('it reached'),
        },
        { what: `each container asked the servers that it was given (${asked} of 3)`, held: asked === 3 },
        { what: `the auditor’s capture lost no packet (${dropped})`, held: dropped === 0 },
      ],
      leak: 'Names leave by the engine’s resolver although the network has no way out.',
      contained: 'No name from an internal network reached a resolver of the host or passed its interfaces.',
    })
  },
)

/** An engine asks in its own time, on a busy machine long after the container has given up. */
async function lookFor(
  arrived: () => Promise<boolean>,
  onTheWay: () => Promise<readonly Buffer[]>,
): Promise<{ readonly got: boolean; readonly passed: readonly Buffer[] }> {
  let [got, passed] = [await arrived(), await onTheWay()]
  for (let looks = 1; looks < LOOKS && !got && passed.length === 0; looks += 1) {
    await pause()
    ;[got, passed] = [await arrived(), await onTheWay()]
  }
  if (got) return { got, passed }
  // A frame is seen before it arrives.
  await pause()
  return { got: await arrived(), passed }
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100))

/** Of a container that is told of none; each of them may be an engine's, on an address of either kind. */
export function nameServers(text: string): readonly string[] {
  return [...text.matchAll(/^nameserver\s+([^\s%]+)/gm)]
    .map((match) => match[1] ?? '')
    .filter((one) => isIP(one) > 0)
}

/** Asks each name server of resolv.conf, and waits for an answer or a second. False when it could not try each. */
async function askName(guest: Guest, name: string): Promise<boolean> {
  const content = await contentInside(guest, '/etc/resolv.conf')
  let tried = true
  for (const server of nameServers('bytes' in content ? content.bytes.toString('latin1') : '')) {
    const [to, bytes] = [internetAddress(server, 53), question(name)]
    const answers = await guest.inChild(
      [
        { name: 'socket', args: [isIPv6(server) ? AF_INET6 : AF_INET, DATAGRAM, 0], ends: true },
        {
          name: 'sendto',
          args: [{ result: 0 }, { in: bytes }, bytes.length, 0, { in: to }, to.length],
          ends: true,
        },
        { name: 'recvfrom', args: [{ result: 0 }, { out: 512, short: true }, 512, 0, 0, 0] },
      ],
      1500,
    )
    tried &&= wasAsked(answers)
  }
  return tried && ('bytes' in content || content.error === 'ENOENT')
}

/** Where no socket of the kind is to be had, nobody inside has one either; what did not come back is no answer. */
export function wasAsked([socket, sent]: readonly Answer[]): boolean {
  const late = ({ error }: Answer): boolean => error === 'TIMEOUT' || error === 'NOT-MADE'
  if (socket === undefined || late(socket)) return false
  return socket.error !== '' || (sent !== undefined && !late(sent))
}
