/**
 * A small world to try the network in, made of network namespaces: a "host" with an engine's network on it, a machine
 * "outside", and containers started by the native core from the network room's steps. The real host is not touched.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GuardSweep } from '../../src/engine/guard-sweep.ts'
import type { Core, Shim } from '../../src/kernel/core-api.ts'
import { startCore } from '../../src/kernel/core.ts'
import type { Plan, Step } from '../../src/kernel/plan.ts'
import { readHostNetwork, ensureBridge } from '../../src/network/bridge.ts'
import { bridgeSteps, guardedPorts, releaseSteps } from '../../src/network/container-steps.ts'
import type { Attachment, ContainerNetwork } from '../../src/network/attachment.ts'
import type { ContainerSteps } from '../../src/network/container-steps.ts'
import { parseAddress } from '../../src/network/address.ts'
import { firewallStep, tableName } from '../../src/network/firewall.ts'
import type { Published } from '../../src/network/firewall.ts'
import { guardTableStep } from '../../src/network/source-guard.ts'
import { formatMac, macOf } from '../../src/network/ipam.ts'
import { defaultPool } from '../../src/network/network.ts'
import type { Network } from '../../src/network/network.ts'
import { background } from '../harness/background.ts'
import { command } from '../harness/command.ts'
import type { NetworkNamespace } from '../harness/network-namespace.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { Scope } from '../harness/scope.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { until } from '../harness/until.ts'

const CLONE_NEWNET = 0x40000000
const CLONE_NEWUSER = 0x10000000
const O_RDONLY = 0
const SLOT = 200
export const VETH_PREFIX = 'dwtv'

/** A core whose plans are carried out in another network namespace than ours. */
function coreIn(core: Core, namespace: string): Core {
  const enter: Step[] = [
    { actor: 'host', op: 'open', path: namespace, slot: SLOT, flags: O_RDONLY },
    { actor: 'host', op: 'setns', slot: SLOT, flags: CLONE_NEWNET },
  ]
  const inside = (plan: Plan): Plan => ({ steps: [...enter, ...plan.steps] })
  return {
    run: (plan, options) => core.run(inside(plan), options),
    launch: (plan, options, begun) => core.launch(inside(plan), options, begun),
    begin: (plan) => core.begin(inside(plan)),
    reconnect: (runDir) => core.reconnect(runDir),
    onLent: (listener) => core.onLent(listener),
    [Symbol.asyncDispose]: () => core[Symbol.asyncDispose](),
  }
}

/** Serves TCP and UDP on port 80, both families; answers with the address the client seems to have. */
const SERVER = `
import socket, threading
def plain(a): return a[7:] if a.startswith('::ffff:') else a
t = socket.socket(socket.AF_INET6, socket.SOCK_STREAM); t.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); t.bind(('::', 80)); t.listen(64)
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
u.bind(('::', 80))
def udp():
    while True:
        data, client = u.recvfrom(2048)
        u.sendto(plain(client[0]).encode(), client)
threading.Thread(target=udp, daemon=True).start()
print('ready', flush=True)
while True:
    c, client = t.accept()
    c.sendall(plain(client[0]).encode()); c.close()
`

/** Prints what the server answered, or the name of the error. */
const CLIENT = `
import errno, socket, sys
kind, address, port, source, patience = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
s.settimeout(patience)
try:
    if source: s.bind((source, 0))
    s.connect((address, port))
    if kind == 'udp': s.send(b'hello')
    print(s.recv(100).decode())
except socket.timeout: print('timeout')
except OSError as e: print(errno.errorcode.get(e.errno, str(e)))
`

export interface ContainerOptions {
  readonly id: string
  readonly network: Network
  readonly bridgeIndex: number
  readonly address: string
  readonly address6?: string
  readonly published?: readonly Published[]
  /** Second interface. */
  readonly also?: Attachment
  /** Another engine's. */
  readonly table?: string
  /** May send under any address. */
  readonly unguarded?: boolean
  /** Instead of the server. */
  readonly argv?: readonly string[]
}

export interface TestContainer {
  readonly shim: Shim
  readonly steps: ContainerSteps
  readonly network: ContainerNetwork
  readonly enter: readonly string[]
}

export class World extends Scope {
  readonly host: NetworkNamespace
  readonly core: Core
  readonly folder: string
  readonly networks: Network[] = []
  #guards: GuardSweep | undefined
  #starts = 0

  private constructor(host: NetworkNamespace, core: Core, folder: string) {
    super()
    this.host = host
    this.core = core
    this.folder = folder
  }

  static async make(): Promise<World> {
    const folder = await tempFolder('network')
    const host = await networkNamespace(join(folder.path, 'host.log'))
    const core = await startCore({ runDir: folder.path })
    const world = new World(host, coreIn(core, pathOf(host)), folder.path)
    world.use(folder)
    world.use(host)
    world.use(core)
    return world
  }

  get table(): string {
    return tableName(this.networks[0]?.bridge ?? '')
  }

  get guards(): GuardSweep {
    return (this.#guards ??= new GuardSweep(this.core, this.table, () => undefined))
  }

  /** A network with its bridge, and the table written anew. */
  async network(
    name: string,
    more: Partial<Network> = {},
  ): Promise<{ network: Network; bridgeIndex: number }> {
    const n = this.networks.length + 1
    const network: Network = {
      id: name,
      name,
      driver: 'bridge',
      created: 0,
      ipv4: defaultPool(`10.201.${n}.0/24`),
      ipv6: defaultPool(`fd00:201:${n}::/64`),
      bridge: `dwt${name}`,
      internal: false,
      attachable: false,
      mtu: 1500,
      icc: true,
      masquerade: true,
      hostBinding: '',
      options: {},
      labels: {},
      ...more,
    }
    this.networks.push(network)
    const bridgeIndex = await ensureBridge(this.core, network, { ipv6: true, advertised: [] })
    const { table, networks } = this
    await this.core.run({
      steps: [
        firewallStep('host', { table, networks, published: [], ipv6: true }),
        guardTableStep('host', table, []),
      ],
    })
    return { network, bridgeIndex }
  }

  /** A container of an own user and network namespace on the test machine's own files. */
  async container(options: ContainerOptions): Promise<TestContainer> {
    const mac = formatMac(macOf(parseAddress(options.address) ?? new Uint8Array(4)))
    const { network, bridgeIndex, address, address6 } = options
    const place = { slot: 0, gatewayPriority: 0 }
    const attachment = {
      ...place,
      network,
      bridgeIndex,
      address,
      mac,
      ...(address6 === undefined ? {} : { address6 }),
      unguarded: options.unguarded === true,
    }
    const containerNetwork: ContainerNetwork = {
      containerId: options.id,
      start: this.#starts,
      vethPrefix: VETH_PREFIX,
      table: options.table ?? this.table,
      ipv6: true,
      guard: true,
      attachments: [attachment, ...(options.also === undefined ? [] : [options.also])],
      published: options.published ?? [],
    }
    const steps = bridgeSteps(containerNetwork)
    const argv = options.argv ?? ['/usr/bin/python3', '-c', SERVER]
    this.#starts += 1
    const runDir = join(this.folder, String(this.#starts))
    const log = join(runDir, 'log')
    await mkdir(runDir)
    await this.guards.settle(options.id)
    const shim = await this.core.launch(containerPlan(steps, argv), {
      runDir,
      tty: false,
      stdin: false,
      stdinOnce: false,
      expectAttach: 0,
      log: { path: log, maxSize: 0, maxFiles: 1 },
    })
    const ended = shim.exited.then(() => this.guards.add(options.id, () => guardedPorts(containerNetwork)))
    // Rejects when a test killed the shim.
    void ended.catch(() => undefined)
    this.defer(async () => {
      await shim.signal(9).catch(() => undefined)
      await shim.exited.catch(() => undefined)
    })
    if (options.argv === undefined) {
      await until('the server', async () => (await readFile(log, 'utf8').catch(() => '')).includes('ready'))
    }
    return {
      shim,
      steps,
      network: containerNetwork,
      enter: ['nsenter', `--net=/proc/${shim.pid}/ns/net`, '--'],
    }
  }

  /** A machine next to the host: 203.0.113.1 ↔ 203.0.113.2, fd00:113::1 ↔ fd00:113::2, routing all to the host. */
  async outside(): Promise<NetworkNamespace> {
    const outside = this.use(await networkNamespace(join(this.folder, 'outside.log')))
    const outsidePid = /\d+/.exec(pathOf(outside))?.[0] ?? ''
    const ip = (namespace: NetworkNamespace, line: string): Promise<unknown> =>
      command([...namespace.enter, 'ip', ...line.split(' ')], { check: true })
    await ip(this.host, `link add uplink type veth peer name uplink netns ${outsidePid}`)
    for (const [namespace, n] of [
      [this.host, 1],
      [outside, 2],
    ] as const) {
      await ip(namespace, `addr add 203.0.113.${n}/24 dev uplink`)
      await ip(namespace, `addr add fd00:113::${n}/64 dev uplink nodad`)
      await ip(namespace, 'link set uplink up')
    }
    await ip(outside, 'route add 10.201.0.0/16 via 203.0.113.1')
    await ip(outside, 'route add fd00:201::/32 via fd00:113::1')
    return outside
  }

  /** Starts the server in a namespace that is no container. */
  async serve(where: NetworkNamespace): Promise<void> {
    const log = join(this.folder, `serve-${this.networks.length}.log`)
    this.use(background([...where.enter, 'python3', '-c', SERVER], log))
    await until('the server', async () => (await readFile(log, 'utf8').catch(() => '')).includes('ready'))
  }

  /** Removes what a container has on the host, as the engine does for a shim that was killed. */
  async release(container: TestContainer): Promise<void> {
    await this.core.run({ steps: releaseSteps(container.network, 'host') })
  }

  /** Names of the interfaces on the host. */
  async links(): Promise<string[]> {
    return (await readHostNetwork(this.core)).links.map((link) => link.name)
  }

  async rules(): Promise<string> {
    return (await command([...this.host.enter, 'nft', 'list', 'ruleset'], { check: true })).stdout
  }
}

function pathOf(namespace: NetworkNamespace): string {
  return /--net=(\S+)/.exec(namespace.enter.join(' '))?.[1] ?? '/proc/self/ns/net'
}

function containerPlan(steps: ContainerSteps, argv: readonly string[]): Plan {
  const clone: Step = { actor: 'host', op: 'clone', flags: CLONE_NEWNET | CLONE_NEWUSER }
  const idmap: Step = { actor: 'parent', op: 'idmap', uid: '0 200000 65536', gid: '0 200000 65536' }
  const user: Step = { actor: 'guest', op: 'user', uid: 0, gid: 0, groups: [] }
  const exec: Step = {
    actor: 'guest',
    op: 'exec',
    argv,
    env: ['PATH=/usr/bin:/bin:/usr/sbin:/sbin'],
    init: false,
  }
  return { steps: [...steps.host, ...steps.after, clone, idmap, ...steps.parent, ...steps.guest, user, exec] }
}

type Question = readonly [
  from: { readonly enter: readonly string[] },
  protocol: 'tcp' | 'udp',
  address: string,
  port: number,
  source?: string,
]

/** What the server answered to a client in `from`: the address it saw, or "timeout", "ECONNREFUSED"… */
export function ask(...question: Question): Promise<string> {
  return askFor(30, question)
}

/** The same where no answer is to come: for nothing one does not wait long. */
export function askInVain(...question: Question): Promise<string> {
  return askFor(0.8, question)
}

/** An answer that is to come may take its time on a busy machine. */
async function askFor(
  seconds: number,
  [from, protocol, address, port, source = '']: Question,
): Promise<string> {
  const argv = [
    ...[...from.enter, 'python3', '-c', CLIENT],
    ...[protocol, address, String(port), source, String(seconds)],
  ]
  return (await command(argv, { check: true })).stdout.trim()
}
