/** What the host and neighbours see of containers' traffic. */
import { readFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { makeCanary } from '../../canary.ts'
import type { Canary } from '../../canary.ts'
import type { Guest } from '../../guest-types.ts'
import { describeFrame, exchange, inetAddress, listenUdp, lost, sendUdp, sift, sniff } from '../../packets.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Subject } from '../../target.ts'
import type { Control, Evidence } from '../../types.ts'
import { absent, conclude, inconclusive } from '../../verdict.ts'
import { gatewayOf } from '../in/gateway.ts'

const common = { direction: 'out', interference: 'none', readOnly: false, timeout: 60_000 } as const
const PORT = 4711

export interface Pair {
  readonly server: Subject
  readonly at: { readonly guest: Guest; readonly fd: bigint; readonly host: string; readonly port: number }
  readonly from: Guest
}

/** Two containers on the target's default network, one listening; undefined where there is no network. */
export async function talkers(context: ProbeContext): Promise<Pair | undefined> {
  const server = await context.create()
  const host = await server.address()
  if (host === undefined) return undefined
  const client = await context.create()
  const guest = await context.guest(server)
  const fd = await listenUdp(guest, PORT)
  return { server, at: { guest, fd, host, port: PORT }, from: await context.guest(client) }
}

const NO_NETWORK = 'containers of this target have no network unless somebody gives them one'

export const hostSniff: Probe = {
  ...common,
  id: 'O15',
  slug: 'out.net.host-sniff',
  asset: 'traffic',
  observers: ['host-root'],
  question: 'Does a capture on the host (tcpdump) show what containers say to each other?',
  method:
    'A random word goes from one container to another by UDP while the host listens on all its interfaces.',
  references: ['CWE-319', 'T1040'],
  remedy: 'Let containers speak TLS with each other.',
  async run(context) {
    const pair = await talkers(context)
    if (pair === undefined) return absent(NO_NETWORK)
    const observer = await hostTool(context)
    const wire = await sniff(observer)
    if (typeof wire === 'string') return inconclusive(`listening on the host failed: ${wire}`)
    const canary = makeCanary('traffic')
    const arrived = await exchange(pair.from, pair.at, canary)
    const { frames, controls } = await captured(observer, wire, canary)
    return conclude({
      seen: packets(frames),
      controls: [{ what: 'the word arrived in the other container', held: arrived }, ...controls],
      leak: "Everyday root reads the containers' traffic on the host's interfaces.",
      contained: 'The word passed through no interface of the host in the clear.',
    })
  },
}

/** What a capture holds of a word; and whether it would: its owner's own packet is in it, sent last, and none was lost. */
async function captured(
  observer: Guest,
  wire: bigint,
  canary: Canary,
): Promise<{ readonly frames: readonly Buffer[]; readonly controls: readonly Control[] }> {
  const control = makeCanary('control')
  const port = 40_000 + Math.floor(Math.random() * 20_000)
  await sendUdp(observer, '127.0.0.1', port, control.bytes)
  const [frames = [], own = []] = await sift(observer, wire, [canary, control])
  const dropped = await lost(observer, wire)
  return {
    frames,
    controls: [
      { what: "the same capture shows the observer's own packet, sent afterwards", held: own.length > 0 },
      { what: `it lost no packet (${dropped})`, held: dropped === 0 },
    ],
  }
}

/** In the network namespace where the engine is. */
export async function hostTool({ target, observer }: ProbeContext): Promise<Guest> {
  const pid = /^\/proc\/(\d+)\//.exec(target.networkNamespace ?? '')?.[1]
  return pid === undefined ? observer() : observer({ networkOf: Number(pid) })
}

function packets(frames: readonly Buffer[]): readonly Evidence[] {
  return frames.slice(0, 5).map((frame) => ({ kind: 'packet', text: describeFrame(frame) }))
}

export const neighbourSniff: Probe = {
  ...common,
  id: 'O16',
  slug: 'out.net.neighbour-sniff',
  asset: 'traffic',
  observers: ['neighbour'],
  question: 'Does a third container on the same network see what two others say to each other?',
  method: 'A random word goes from one container to another while a third listens on a packet socket.',
  references: ['T1040'],
  remedy: 'Drop CAP_NET_RAW; give those who do not trust each other networks of their own.',
  async run(context) {
    const pair = await talkers(context)
    if (pair === undefined) return absent(NO_NETWORK)
    const third = await context.guest(await context.create())
    const wire = await sniff(third)
    const canary: Canary = makeCanary('traffic')
    // Once before, so that switch and neighbours know the way: an unknown address is flooded to all.
    await exchange(pair.from, pair.at, makeCanary('first'))
    const arrived = await exchange(pair.from, pair.at, canary)
    // The control packet is sent in the third: a copy that the bridge floods may wait on its way longer than that.
    const look = async (fd: bigint): ReturnType<typeof captured> => {
      await exchange(pair.from, pair.at, canary)
      return captured(third, fd, canary)
    }
    const listened = typeof wire === 'string' ? undefined : await until(() => look(wire))
    const refused =
      typeof wire === 'string' ? `it may not even listen (${wire})` : 'it listens and does not see it'
    return conclude({
      seen: packets(listened?.frames ?? []),
      controls: [
        { what: 'the word arrived in the other container', held: arrived },
        ...(listened?.controls ?? []),
      ],
      leak: 'A neighbour reads what two other containers say to each other.',
      contained: `The neighbour does not get it: ${refused}.`,
    })
  },
}

export const netMetadata: Probe = {
  ...common,
  id: 'O37',
  slug: 'out.net.metadata',
  asset: 'peers, ports',
  observers: ['host-root'],
  question: 'Does the host see on which ports a container listens and with whom it speaks?',
  method:
    "A container listens on a random port and sends from it to its gateway; /proc/PID/net of its processes and the host's flows are read.",
  references: ['T1049'],
  remedy:
    'Only a level with an own network stack (gvisor, microvm) hides sockets; flows the host always sees.',
  async run(context) {
    const subject = await context.create()
    const guest = await context.guest(subject)
    const port = 20_000 + Math.floor(Math.random() * 20_000)
    const fd = await listenUdp(guest, port)
    const word = `:${port.toString(16).toUpperCase().padStart(4, '0')} `
    const seen: Evidence[] = []
    for (const pid of await subject.pids()) {
      const table = await readFile(`/proc/${pid}/net/udp`, 'utf8').catch(() => '')
      if (table.includes(word))
        seen.push({ kind: 'process', text: `/proc/${pid}/net/udp shows port ${port}` })
    }
    const flows = await flowsOf(context, subject, { guest, fd })
    if (flows.text.includes(`sport=${port} `))
      seen.push({ kind: 'value', text: `/proc/net/nf_conntrack shows port ${port} and its peer` })
    const tool = await context.observer()
    const control = 41_000 + Math.floor(Math.random() * 5000)
    await listenUdp(tool, control)
    const own = await readFile('/proc/self/net/udp', 'utf8')
    const controlWord = `:${control.toString(16).toUpperCase().padStart(4, '0')} `
    return conclude({
      seen,
      controls: [
        { what: 'the container listens', held: fd >= 0n },
        { what: "the observer sees the auditor's own socket", held: own.includes(controlWord) },
        { what: 'the container has processes on the host', held: (await subject.pids()).length > 0 },
        { what: "the host's flows can be listed, if the container has a network", held: flows.known },
      ],
      leak: "Everyday root lists the container's sockets.",
      contained: "The container's socket is in no table of the host, and whom it speaks with in none either.",
    })
  },
}

/** The table of flows where the engine is, after the container has spoken with its gateway. */
async function flowsOf(
  context: ProbeContext,
  subject: Subject,
  { guest, fd }: { readonly guest: Guest; readonly fd: bigint },
): Promise<{ readonly text: string; readonly known: boolean }> {
  const gateway = (await subject.address()) === undefined ? undefined : await gatewayOf(guest)
  if (gateway === undefined) return { text: '', known: true }
  await guest.syscall('sendto', fd, { in: Buffer.from('x') }, 1, 0, { in: inetAddress(gateway, 9) }, 16)
  const host = await hostTool(context)
  const text = await host.readFile('/proc/self/net/nf_conntrack', 1 << 23).catch(() => undefined)
  return { text: text?.toString() ?? '', known: text !== undefined }
}

export const dnsNames: Probe = {
  ...common,
  id: 'O38',
  slug: 'out.net.dns',
  asset: 'names asked',
  observers: ['host-root'],
  question: 'Does the host see which names a container asks for?',
  method: 'A container asks its resolver for a random name; the host listens on all its interfaces.',
  references: ['CWE-319'],
  remedy: 'Use a resolver that speaks TLS from inside the container.',
  async run(context) {
    const subject = await context.create()
    if ((await subject.address()) === undefined) return absent(NO_NETWORK)
    const guest = await context.guest(subject)
    const resolvers = [
      ...(await guest.readFile('/etc/resolv.conf')).toString().matchAll(/^nameserver\s+(\S+)/gm),
    ].map((match) => match[1] ?? '')
    const resolver = resolvers.find((address) => isIPv4(address))
    if (resolver === undefined && resolvers.length > 0)
      return inconclusive(
        `its resolvers (${resolvers.join(', ')}) have no IPv4 address, which this probe asks`,
      )
    if (resolver === undefined) return absent('the container has no resolver')
    const observer = await hostTool(context)
    const wire = await sniff(observer)
    if (typeof wire === 'string') return inconclusive(`listening on the host failed: ${wire}`)
    const canary = makeCanary('name')
    const sent = await sendUdp(guest, resolver, 53, question(canary.text))
    const local = resolver.startsWith('127.')
    const { frames, controls } = await until(() => captured(observer, wire, canary))
    return conclude({
      seen: packets(frames),
      controls: [
        { what: 'the question was sent', held: sent === '' },
        { what: 'the resolver is reached over the network', held: !local },
        ...controls,
      ],
      leak: 'The name passes through the host in the clear.',
      contained: 'The name does not pass through the host in the clear.',
    })
  },
}

/** Looks again and again: a resolver of the engine's asks in its own time, and a bridge forwards in its own. */
async function until(look: () => ReturnType<typeof captured>): ReturnType<typeof captured> {
  const drops: Control[] = []
  for (let tries = 1; ; tries += 1) {
    const found = await look()
    drops.push(...found.controls.filter(({ held }) => !held))
    if (found.frames.length > 0 || tries === 20)
      return { frames: found.frames, controls: [...found.controls, ...drops] }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** A query for the address of NAME.test. */
function question(name: string): Buffer {
  const labels = [name, 'test'].flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)])
  const head = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, 1, 0, 1])])
}
