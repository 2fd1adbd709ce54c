/** What containers, their neighbours and servers outside can try on the name server; each with what shows that it would work. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { background } from '../harness/background.ts'
import { command } from '../harness/command.ts'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { EngineRig } from './engine-rig.ts'
import { CONTROL, malformedQuestions, question } from './malformed-questions.ts'

const skip = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'ip', 'nft', 'python3', 'nsenter')
const UPSTREAM = '172.30.255.1'
const [OK, FORMAT_ERROR, SERVFAIL, NOT_IMPLEMENTED] = [0, 1, 2, 4]

/**
 * Sends the datagrams of standard input to the name server, slower than its limit, and prints the answers up to the control's.
 * That one, the last, is asked again each second, as clients do: on a busy machine datagrams are lost before the server.
 */
const SENDER = `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect(('127.0.0.11', 53))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
lines = sys.stdin.read().split('\\n'); end = time.monotonic() + 50
for line in lines: s.send(bytes.fromhex(line)); time.sleep(0.0005)
while time.monotonic() < end:
    try: r = s.recv(65535)
    except socket.timeout: s.send(bytes.fromhex(lines[-1])); continue
    print(r.hex())
    if r[:2].hex() == sys.argv[1]: break
`

/** Holds connections that promise more than they send; then asks byte by byte on one of them. */
const SLOW = `
import socket, struct, sys, time
q = bytes.fromhex(sys.argv[1]); held = []
for n in range(30):
    c = socket.create_connection(('127.0.0.11', 53), 60); c.sendall(b'\\xff\\xffxx'); held.append(c)
c = socket.create_connection(('127.0.0.11', 53), 60); c.settimeout(60); c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
c.sendall(b'\\0\\0' * 200)
for b in struct.pack('>H', len(q)) + q: c.sendall(bytes([b])); time.sleep(0.002)
f = c.makefile('rb'); r = f.read(struct.unpack('>H', f.read(2))[0]); print(r.hex())
`

/**
 * A server outside that lies. storm: wrong ones before the right answer, which is 203.0.113.1; huge: more than was allowed;
 * loop: names that point to themselves; twice: what a perfect forger would send first; slow: tells in its log what a forger
 * would have to know, and answers late.
 */
const LIAR = `
import os, socket, struct, sys, threading, time
log = open(sys.argv[2], 'a', buffering=1)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind((sys.argv[1], 53))
stray = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); stray.bind((sys.argv[1], 0))
def answer(q, end, last=1, name=b'\\xc0\\x0c', count=1, ident=None, question=None):
    rr = name + struct.pack('>HHIH', 1, 1, 5, 4) + bytes([203, 0, 113, last])
    return (ident or q[:2]) + struct.pack('>HHHHH', 0x8180, 1, count, 0, 0) + (question or q[12:end]) + rr * count
def serve(q, who):
    end = 12
    while q[end]: end += 1 + q[end]
    end += 5; kind = q[13:13 + q[12]].decode()
    if kind == 'storm':
        wrong = bytes([q[0] ^ 1, q[1]])
        for n in range(20):
            for r in (b'', q[:2], os.urandom(40), q, answer(q, end, 66, ident=wrong), answer(q, end, 66, question=b'\\5other\\0\\0\\1\\0\\1'), answer(q, end, 66, question=b'\\xc0\\x0c\\0\\1\\0\\1')): u.sendto(r, who)
            stray.sendto(answer(q, end, 66), who)
    if kind == 'huge': return u.sendto(answer(q, end, count=200), who)
    if kind == 'loop': return u.sendto(answer(q, end, name=struct.pack('>H', 0xc000 + end)), who)
    if kind == 'twice': u.sendto(answer(q, end, 66), who)
    if kind == 'slow': log.write('%d %s %s\\n' % (who[1], q[:2].hex(), q[12:end].hex())); time.sleep(2)
    u.sendto(answer(q, end), who)
log.write('ready\\n')
while True: threading.Thread(target=serve, args=u.recvfrom(4096), daemon=True).start()
`

/** Answers before the server does: from its own address, and with that of the server in front. */
const FORGER = `
import socket, struct, sys
server, port, ident, question = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3]), bytes.fromhex(sys.argv[4])
r = ident + struct.pack('>HHHHH', 0x8180, 1, 1, 0, 0) + question + b'\\xc0\\x0c' + struct.pack('>HHIH', 1, 1, 5, 4) + bytes([203, 0, 113, 66])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 53))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
udp = struct.pack('>HHHH', 53, port, 8 + len(r), 0) + r
for source in (server, '172.30.0.1', '127.0.0.1'):
    raw.sendto(struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(server)) + udp, (server, 0))
for n in range(20): s.sendto(r, (server, port))
print('sent')
`

describe('hostile names', { skip }, () => {
  let rig: EngineRig
  let log: string

  before(async () => {
    rig = await EngineRig.make()
    log = join(rig.folder, 'liar.log')
    await rig.host('ip', 'addr', 'add', `${UPSTREAM}/32`, 'dev', 'lo')
    rig.use(background([...rig.network.enter, 'python3', '-c', LIAR, UPSTREAM, log], `${log}.err`))
    await until('the server outside', async () =>
      (await readFile(log, 'utf8').catch(() => '')).includes('ready'),
    )
    await rig.docker('network', 'create', 'front', '--subnet', '10.199.1.0/24')
    await rig.docker('network', 'create', 'back', '--subnet', '10.199.2.0/24')
    const long = [63, 63, 63, 61].map((length) => 'n'.repeat(length)).join('.')
    await rig.run('web1', '--network', 'front', '--dns', UPSTREAM)
    await rig.run('web2', '--network', 'front', '--dns', UPSTREAM, '--network-alias', long)
    await rig.run('data', '--network', 'back', '--dns', UPSTREAM, '--network-alias', 'd'.repeat(63))
  })
  after(() => rig[Symbol.asyncDispose]())

  const python = async (container: string, input: string, ...argv: readonly string[]): Promise<string> => {
    const enter = await rig.within(container)
    return (await command([...enter, 'python3', '-c', ...argv], { input, check: true })).stdout.trim()
  }
  const neighbourIsServed = async (): Promise<void> => {
    assert.deepEqual((await rig.ask('data', 'data')).answers, ['10.199.2.2'])
    assert.deepEqual((await rig.ask('data', 'data', { protocol: 'tcp' })).answers, ['10.199.2.2'])
  }

  test('hostile names: malformed questions of every kind are refused or ignored, and the next is answered', async () => {
    const packets = malformedQuestions('web2')
    const input = [...packets, question('web2', CONTROL)].map((packet) => packet.toString('hex')).join('\n')
    const replies = (await python('web1', input, SENDER, CONTROL.toString(16)))
      .split('\n')
      .map((hex) => Buffer.from(hex, 'hex'))
    const codes = new Set(replies.map((reply) => reply.readUInt16BE(2) & 15))
    assert.ok(
      [FORMAT_ERROR, NOT_IMPLEMENTED].every((code) => codes.has(code)),
      `they came to the parser: ${[...codes].join()}`,
    )
    assert.ok(
      replies.every((reply) => reply.length <= 512 && (reply[2] ?? 0) >= 0x80),
      'answers, and small ones',
    )
    const last = replies.at(-1)
    assert.equal(last?.subarray(-4).join('.'), '10.199.1.3')
    await neighbourIsServed()
  })

  test('hostile names: connections that promise more than they send are kept few, and cost others nothing', async () => {
    const asking = python('web1', '', SLOW, question('web2', CONTROL).toString('hex'))
    await neighbourIsServed()
    assert.equal(
      Buffer.from(await asking, 'hex')
        .subarray(-4)
        .join('.'),
      '10.199.1.3',
    )
  })

  test('hostile names: as long as names may be they are known, to their own network alone', async () => {
    const long = [63, 63, 63, 61].map((length) => 'n'.repeat(length)).join('.')
    assert.deepEqual((await rig.ask('web1', long)).answers, ['10.199.1.3'])
    assert.deepEqual((await rig.ask('data', 'd'.repeat(63))).answers, ['10.199.2.2'])
    for (const name of [long, 'web2', 'WEB2.FRONT', 'web2.front']) {
      const { answers } = await rig.ask('data', name)
      assert.ok(!answers.includes('10.199.1.3'), name)
    }
  })

  test('hostile names: of many answers of a server that lies, the one that fits is taken', async () => {
    assert.deepEqual((await rig.ask('web1', 'storm.example')).answers, ['203.0.113.1'])
    // Names in it are for the client to read; here they are bytes.
    assert.equal((await rig.ask('web1', 'loop.example')).rcode, OK)
    await neighbourIsServed()
  })

  test('hostile names: an answer that is larger than the client allows is cut', async () => {
    const ask = async (packet: Buffer): Promise<Buffer> =>
      Buffer.from(await python('web1', packet.toString('hex'), SENDER, CONTROL.toString(16)), 'hex')
    const cut = await ask(question('huge.example', CONTROL))
    assert.ok(cut.length <= 512 && (cut.readUInt16BE(2) & 0x200) !== 0, `${cut.length} bytes`)
    // The same for who takes as much: it is the limit that cuts, not the server.
    const whole = await ask(question('huge.example', CONTROL, { size: 4096 }))
    assert.ok(whole.length > 3000 && (whole.readUInt16BE(2) & 0x200) === 0, `${whole.length} bytes`)
  })

  test("hostile names: a neighbour's forged answer is not taken, however much it knows", async () => {
    const asking = rig.ask('web2', 'slow.example')
    const known = async (): Promise<RegExpExecArray | null> =>
      /^(\d+) (\w+) (\w+)$/m.exec(await readFile(log, 'utf8'))
    await until('the question', async () => (await known()) !== null)
    const [, port = '', id = '', asked = ''] = (await known()) ?? []
    assert.equal(await python('web1', '', FORGER, UPSTREAM, port, id, asked), 'sent')
    assert.deepEqual((await asking).answers, ['203.0.113.1'])
    // From the server's own address and port it would have been.
    assert.deepEqual((await rig.ask('web2', 'twice.example')).answers, ['203.0.113.66'])
  })

  test('hostile names: an internal network asks nobody outside, whatever the question', async () => {
    await rig.docker('network', 'create', '--internal', 'inner', '--subnet', '10.199.3.0/24')
    await rig.run('hidden', '--network', 'inner', '--dns', UPSTREAM)
    const asked = async (): Promise<number> => (await readFile(log, 'utf8')).split('\n').length
    const before = await asked()
    const kinds = [1, 2, 12, 15, 16, 28, 33, 41, 65, 252, 255]
    const packets = [
      ...kinds.map((type) => question('slow.tunnel.example', type, { type })),
      ...[2, 3, 4, 255].map((kind) => question('slow.tunnel.example', 300 + kind, { kind })),
      question('', 400),
      question('slow.hidden.inner.example', 401),
      question(`slow.${'x'.repeat(60)}.${'y'.repeat(60)}`, 402, { size: 4096 }),
      question('slow.1.168.192.in-addr.arpa', 403, { type: 12 }),
      question('slow', 404),
    ]
    const input = [...packets, question('hidden', CONTROL)].map((packet) => packet.toString('hex')).join('\n')
    const replies = (await python('hidden', input, SENDER, CONTROL.toString(16))).split('\n')
    const codes = replies.slice(0, -1).map((hex) => Buffer.from(hex, 'hex').readUInt16BE(2) & 15)
    assert.deepEqual(new Set(codes), new Set([SERVFAIL]))
    assert.equal(codes.length, packets.length)
    assert.equal(await asked(), before)
    // Who may ask outside is heard there.
    assert.equal((await rig.ask('web1', 'slow.tunnel.example')).answers.length, 1)
    assert.equal(await asked(), before + 1)
  })
})
