/** Names of containers on networks of their own, asked for as programs in the containers do. */
import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { background } from '../harness/background.ts'
import { command } from '../harness/command.ts'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { askFrom, EngineRig, UPSTREAM_PROGRAM } from './engine-rig.ts'

const skip = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'ip', 'nft', 'python3', 'nsenter')
const [OK, SERVFAIL, NXDOMAIN, AAAA, PTR] = [0, 2, 3, 28, 12]
/** An address of the "host" where a name server for outside listens, and one where none does. */
const [UPSTREAM, DEAF] = ['172.30.255.1', '172.30.255.2']

/** Sends `count` datagrams of nonsense and of questions as fast as it can. */
const FLOOD = `
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.11', 53))
q = b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0' + b'\\5flood\\7example\\0\\0\\1\\0\\1'
for n in range(int(sys.argv[1])):
    try: s.send(q if n % 2 else os.urandom(n % 700))
    except OSError: pass
`
/** A forwarder that asks its own 127.0.0.11 for everything. */
const LOOP = `
import socket, sys, threading
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind((sys.argv[1], 53)); print('ready', flush=True)
def one(q, who):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(8)
    try: s.sendto(q, ('127.0.0.11', 53)); u.sendto(s.recv(4096), who)
    except OSError: pass
while True: threading.Thread(target=one, args=u.recvfrom(4096), daemon=True).start()
`

describe('names', { skip }, () => {
  let rig: EngineRig
  let log: string

  before(async () => {
    rig = await EngineRig.make()
    log = join(rig.folder, 'questions.log')
    await rig.host('ip', 'addr', 'add', `${UPSTREAM}/32`, 'dev', 'lo')
    await rig.host('ip', 'addr', 'add', `${DEAF}/32`, 'dev', 'lo')
    const upstream = background([...rig.network.enter, ...UPSTREAM_PROGRAM, UPSTREAM, log], `${log}.err`)
    rig.use(upstream)
    await until('the server outside', async () => (await questions(log)).includes('ready'))
    await rig.docker('network', 'create', 'front', '--subnet', '10.199.1.0/24')
    await rig.docker(
      'network',
      'create',
      'back',
      '--subnet',
      '10.199.2.0/24',
      '--ipv6',
      '--subnet',
      'fd00:199::/64',
    )
    await rig.run(
      'web1',
      '--network',
      'front',
      '--network-alias',
      'web',
      '--hostname',
      'bee',
      '--dns',
      UPSTREAM,
    )
    await rig.run('web2', '--network', 'front', '--network-alias', 'web', '--dns', DEAF, '--dns', UPSTREAM)
    await rig.run('data', '--network', 'back')
  })
  after(() => rig[Symbol.asyncDispose]())

  test('names: a neighbour answers to its name, aliases, short id, hostname, and name.network', async () => {
    const id = (await rig.docker('inspect', '--format', '{{.Id}}', 'web1')).slice(0, 12)
    for (const name of ['web1', 'WEB1', id, 'bee', 'web1.front']) {
      assert.deepEqual(await rig.ask('web2', name), { rcode: OK, cut: false, answers: ['10.199.1.2'] }, name)
    }
    assert.deepEqual((await rig.ask('web2', 'web1', { protocol: 'tcp' })).answers, ['10.199.1.2'])
    assert.deepEqual([...(await rig.ask('web2', 'web')).answers].sort(), ['10.199.1.2', '10.199.1.3'])
    assert.deepEqual((await rig.ask('web2', '2.1.199.10.in-addr.arpa', { type: PTR })).answers, [
      '\x04web1\x05front\x00',
    ])
    // As a program of the container does it.
    assert.match(await rig.docker('exec', 'web2', 'ping', '-c', '1', 'web1'), /10\.199\.1\.2/)
  })

  test('names: an address family that is missing is no data; both where both are', async () => {
    assert.deepEqual(await rig.ask('web2', 'web1', { type: AAAA }), { rcode: OK, cut: false, answers: [] })
    assert.deepEqual((await rig.ask('data', 'data', { type: AAAA })).answers, ['fd00:199::2'])
  })

  test('names: holders of one alias come first in turn', async () => {
    const enter = await rig.within('web2')
    const first = new Set<string | undefined>()
    // One of two stays first thirty times once in a billion runs.
    for (let n = 0; n < 30 && first.size < 2; n += 1) first.add((await askFrom(enter, 'web')).answers[0])
    assert.equal(first.size, 2)
  })

  test('names: a container never hears of networks it is not on', async () => {
    for (const name of ['web1', 'web', 'web1.front', 'web1.back']) {
      assert.deepEqual((await rig.ask('data', name)).answers, [], name)
    }
    assert.deepEqual((await rig.ask('data', '2.1.199.10.in-addr.arpa', { type: PTR })).answers, [])
  })

  test('names: what is outside is asked for, of the second server when the first is silent', async () => {
    for (const container of ['web1', 'web2']) {
      assert.deepEqual((await rig.ask(container, 'one.example')).answers, ['203.0.113.1'])
      assert.equal((await rig.ask(container, 'nosuch')).rcode, NXDOMAIN)
    }
    // Too long for a datagram: the client is told to come again by TCP.
    assert.equal((await rig.ask('web1', 'many.example')).cut, true)
    assert.equal((await rig.ask('web1', 'many.example', { protocol: 'tcp' })).answers.length, 60)
  })

  test('names: an internal network asks nobody outside', async () => {
    await rig.docker('network', 'create', '--internal', 'inner', '--subnet', '10.199.3.0/24')
    await rig.run('hidden', '--network', 'inner', '--dns', UPSTREAM)
    assert.equal((await rig.ask('hidden', 'secret.example')).rcode, SERVFAIL)
    assert.equal((await rig.ask('hidden', 'secret.example', { protocol: 'tcp' })).rcode, SERVFAIL)
    assert.deepEqual((await rig.ask('hidden', 'hidden')).answers, ['10.199.3.2'])
    assert.ok(!(await questions(log)).includes('secret'))
  })

  test('names: port 53 of a container stays free for its own server', async () => {
    const enter = await rig.within('web1')
    const bind = `import socket
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET, kind); s.bind(('0.0.0.0', 53))
print('bound')`
    assert.equal((await command([...enter, 'python3', '-c', bind], { check: true })).stdout.trim(), 'bound')
  })

  test('names: a flood of one container does not keep another from its answers', async () => {
    const flood = await rig.within('web1')
    const flooding = command([...flood, 'python3', '-c', FLOOD, '60000'], { check: true })
    for (let n = 0; n < 10; n += 1) assert.deepEqual((await rig.ask('data', 'data')).answers, ['10.199.2.2'])
    await flooding
    await until(
      'the flooder is heard again',
      async () => (await rig.ask('web1', 'web2')).answers.length === 1,
    )
  })

  test('names: a loop of forwarders ends, and holds up nobody else', async () => {
    await rig.run('loop', '--network', 'front', '--ip', '10.199.1.77', '--dns', '10.199.1.77')
    const enter = await rig.within('loop')
    const file = join(rig.folder, 'loop.log')
    await using forwarder = background([...enter, 'python3', '-c', LOOP, '10.199.1.77'], file)
    void forwarder
    await until('the forwarder', async () => (await readFile(file, 'utf8').catch(() => '')).includes('ready'))
    const looping = rig.ask('loop', 'round.example')
    assert.deepEqual((await rig.ask('web1', 'two.example')).answers, ['203.0.113.1'])
    assert.equal((await looping).rcode, SERVFAIL)
  })

  test('names: with the engine killed they fail at once, and come back with the next one', async () => {
    const enter = await rig.within('web2')
    await rig.server.crash()
    const meanwhile = await askFrom(enter, 'web1')
    assert.equal(meanwhile.error, 'ConnectionRefusedError')
    await rig.start()
    assert.deepEqual((await askFrom(enter, 'web1')).answers, ['10.199.1.2'])
    assert.deepEqual((await askFrom(enter, 'web1', { protocol: 'tcp' })).answers, ['10.199.1.2'])
    assert.deepEqual((await askFrom(enter, 'one.example')).answers, ['203.0.113.1'])
  })

  test('names: a container that is gone is gone, with its sockets', async () => {
    const engine = (await rig.host('pgrep', '-f', join(rig.folder, 'server', 'root'))).split('\n')[0] ?? ''
    const open = async (): Promise<number> => (await readdir(`/proc/${engine}/fd`)).length
    await rig.run('brief0', '--network', 'front')
    await rig.docker('rm', '-f', 'brief0')
    const start = await open()
    for (let n = 1; n <= 5; n += 1) {
      await rig.run(`brief${n}`, '--network', 'front')
      assert.equal((await rig.ask('web1', `brief${n}`)).answers.length, 1)
      await rig.docker('rm', '-f', `brief${n}`)
      assert.equal((await rig.ask('web1', `brief${n}`)).rcode, NXDOMAIN)
    }
    await until('the descriptors to be closed', async () => (await open()) <= start)
  })
})

async function questions(log: string): Promise<string> {
  return readFile(log, 'utf8').catch(() => '')
}
