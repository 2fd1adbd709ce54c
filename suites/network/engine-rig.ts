/** A whole engine on a "host" of its own (a network namespace), with the tests' busybox, to be driven by docker. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../harness/command.ts'
import { networkNamespace, type NetworkNamespace } from '../harness/network-namespace.ts'
import { startRegistry } from '../harness/registry.ts'
import { Scope } from '../harness/scope.ts'
import { removeAllContainers, type Server } from '../harness/server.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { copyTestImages } from '../harness/test-images.ts'

/** Sends one question from inside a container's network and prints what came back. */
const ASK = `
import json, socket, struct, sys
protocol, name, kind, size, server = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
labels = b''.join(bytes([len(l)]) + l.encode() for l in name.split('.') if l) + b'\\0'
q = struct.pack('>HHHHHH', 77, 0x100, 1, 0, 0, 1 if size else 0) + labels + struct.pack('>HH', kind, 1)
if size: q += b'\\0' + struct.pack('>HHIH', 41, size, 0, 0)
try:
    if protocol == 'udp':
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(12); s.connect((server, 53)); s.send(q); r = s.recv(65535)
    else:
        s = socket.create_connection((server, 53), 12); s.sendall(struct.pack('>H', len(q)) + q)
        f = s.makefile('rb'); r = f.read(struct.unpack('>H', f.read(2))[0])
except OSError as e:
    print(json.dumps({'error': type(e).__name__, 'rcode': -1, 'cut': False, 'answers': []})); sys.exit()
flags, count, at, answers = struct.unpack('>H', r[2:4])[0], struct.unpack('>H', r[6:8])[0], 12 + len(labels) + 4, []
for _ in range(count):
    t, n = struct.unpack('>H', r[at+2:at+4])[0], struct.unpack('>H', r[at+10:at+12])[0]
    d = r[at+12:at+12+n]; at += 12 + n
    answers.append(socket.inet_ntop(socket.AF_INET6 if t == 28 else socket.AF_INET, d) if t in (1, 28) else d.decode('latin1'))
print(json.dumps({'rcode': flags & 15, 'cut': bool(flags & 0x200), 'answers': answers}))
`

/** Answers 203.0.113.N for nN.example, NXDOMAIN for others, and writes every question down. */
const UPSTREAM = `
import socket, struct, sys, threading
log = open(sys.argv[2], 'a', buffering=1)
def reply(q):
    at, labels = 12, []
    while q[at]: labels.append(q[at+1:at+1+q[at]].decode('latin1')); at += 1 + q[at]
    name, question = '.'.join(labels), q[12:at+5]
    log.write(name + '\\n')
    if not name.endswith('.example'): return q[:2] + struct.pack('>HHHHH', 0x8183, 1, 0, 0, 0) + question
    count = 60 if name.startswith('many') else 1
    rr = b''.join(b'\\xc0\\x0c' + struct.pack('>HHIH', 1, 1, 5, 4) + bytes([203, 0, 113, n + 1]) for n in range(count))
    return q[:2] + struct.pack('>HHHHH', 0x8180, 1, count, 0, 0) + question + rr
t = socket.socket(); t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); t.bind((sys.argv[1], 53)); t.listen(16)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind((sys.argv[1], 53))
def tcp():
    while True:
        c, _ = t.accept(); f = c.makefile('rb'); r = reply(f.read(struct.unpack('>H', f.read(2))[0]))
        c.sendall(struct.pack('>H', len(r)) + r); c.close()
threading.Thread(target=tcp, daemon=True).start()
log.write('ready\\n')
while True:
    q, who = u.recvfrom(4096); r = reply(q)
    u.sendto(r if len(r) <= 512 else r[:2] + struct.pack('>HHHHH', 0x8380, 1, 0, 0, 0) + r[12:12+len(q)-12], who)
`
export const UPSTREAM_PROGRAM: readonly string[] = ['python3', '-c', UPSTREAM]

export interface DnsReply {
  readonly rcode: number
  readonly cut: boolean
  readonly answers: readonly string[]
  readonly error?: string
}

export interface AskOptions {
  readonly protocol?: 'udp' | 'tcp'
  /** 1 A, 12 PTR, 28 AAAA. */
  readonly type?: number
  /** EDNS: the largest datagram taken; 0 for no EDNS. */
  readonly size?: number
}

export class EngineRig extends Scope {
  readonly network: NetworkNamespace
  readonly folder: string
  readonly #arguments: readonly string[]
  #server: Server | undefined

  private constructor(network: NetworkNamespace, folder: string, more: readonly string[]) {
    super()
    this.network = network
    this.folder = folder
    this.#arguments = more
  }

  static async make(more: readonly string[] = []): Promise<EngineRig> {
    const folder = await tempFolder('names')
    const network = await networkNamespace(join(folder.path, 'host.log'))
    const rig = new EngineRig(network, folder.path, more)
    rig.use(folder)
    rig.use(network)
    rig.defer(async () => {
      await removeAllContainers(rig.server)
      await rig.server[Symbol.asyncDispose]()
    })
    await mkdir(join(folder.path, 'server'))
    await rig.start()
    const { storage } = await copyTestImages(folder.path)
    await using registry = await startRegistry({ storage, folder: folder.path, port: 5000, network })
    await rig.docker('pull', '--quiet', `localhost:5000/busybox`)
    await rig.docker('tag', 'localhost:5000/busybox', 'busybox')
    void registry
    return rig
  }

  get server(): Server {
    if (this.#server === undefined) throw new Error('the engine does not run')
    return this.#server
  }

  async start(): Promise<void> {
    this.#server = await startEngine({
      folder: join(this.folder, 'server'),
      network: this.network,
      bridge: 'dwtn0',
      subnet: '172.30.0.0/24',
      arguments: this.#arguments,
    })
  }

  docker(...args: readonly string[]): Promise<string> {
    return this.server.docker(...args)
  }

  /** A container that sleeps; gives its id. */
  run(name: string, ...args: readonly string[]): Promise<string> {
    return this.docker('run', '-d', '--name', name, ...args, 'busybox', 'sleep', '1000')
  }

  /** A command of the test machine in the container's network. */
  async within(container: string): Promise<readonly string[]> {
    const pid = await this.docker('inspect', '--format', '{{.State.Pid}}', container)
    return ['nsenter', `--net=/proc/${pid}/ns/net`, '--']
  }

  async ask(container: string, name: string, options: AskOptions = {}): Promise<DnsReply> {
    return askFrom(await this.within(container), name, options)
  }

  /** A command on the "host". */
  async host(...argv: readonly string[]): Promise<string> {
    return (await command([...this.network.enter, ...argv], { check: true })).stdout.trim()
  }
}

export async function askFrom(
  enter: readonly string[],
  name: string,
  { protocol = 'udp', type = 1, size = 0 }: AskOptions = {},
): Promise<DnsReply> {
  const argv = [...enter, 'python3', '-c', ASK, protocol, name, String(type), String(size), '127.0.0.11']
  return JSON.parse((await command(argv, { check: true })).stdout) as DnsReply
}
