/** The core hands sockets of another network namespace to this process. */
import assert from 'node:assert/strict'
import { createSocket, Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { Server, type Socket } from 'node:net'
import { test } from 'node:test'
import type { LentSocket } from '../../src/kernel/lent-sockets.ts'
import { startCore } from '../../src/kernel/core.ts'
import type { Step } from '../../src/kernel/plan.ts'
import { command } from '../harness/command.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { missing } from '../harness/requirement.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { until } from '../harness/until.ts'

const skip = missing('ip', 'nsenter', 'python3')
const LOOPBACK = Uint8Array.from([127, 0, 0, 11])
const NEWNET = 0x40000000

function lend(protocol: 'tcp' | 'udp', lendAs: string): Step {
  return { actor: 'host', op: 'reserve-port', protocol, address: LOOPBACK, port: 5300, lendAs }
}

test('Core lends sockets of another network namespace, hundreds of them', { skip }, async () => {
  await using folder = await tempFolder('lent')
  await using other = await networkNamespace(`${folder.path}/net.log`)
  await using core = await startCore({ runDir: folder.path })
  await command([...other.enter, 'ip', 'link', 'set', 'lo', 'up'], { check: true })
  const path = /--net=(\S+)/.exec(other.enter.join(' '))?.[1] ?? ''
  const enter: Step[] = [
    { actor: 'host', op: 'open', path, slot: 1, flags: 0 },
    { actor: 'host', op: 'setns', slot: 1, flags: NEWNET },
  ]
  const got = new Map<string, LentSocket>()
  core.onLent((name, socket) => got.set(name, socket))

  await core.run({ steps: [...enter, lend('udp', 'u'), lend('tcp', 't')] })
  await until('both sockets', () => got.size === 2)
  const udp = got.get('u')
  const tcp = got.get('t')
  assert.ok(udp instanceof UdpSocket && tcp instanceof Server)
  udp.on('message', (data, from) => udp.send(`you said ${data.toString()}`, from.port, from.address))
  tcp.on('connection', (socket: Socket) => socket.end('hello'))
  const asked = await command(
    [
      ...other.enter,
      'python3',
      '-c',
      `import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(60); u.sendto(b'x', ('127.0.0.11', 5300)); print(u.recv(99).decode())
t = socket.create_connection(('127.0.0.11', 5300), 60); print(t.recv(99).decode())`,
    ],
    { check: true },
  )
  assert.equal(asked.stdout, 'you said x\nhello\n')
  udp.close()
  tcp.close()

  // Each is acknowledged by Node.js; what nobody reads must not fill the channel.
  for (let n = 0; n < 600; n += 1) {
    await core.run({ steps: [...enter, lend('udp', `n${n}`)] })
    await until('the socket', () => got.has(`n${n}`))
    got.get(`n${n}`)?.close()
  }
})

test('Core closes a lent socket that nobody wants', { skip }, async () => {
  await using folder = await tempFolder('lent')
  await using core = await startCore({ runDir: folder.path })
  const step = { ...lend('udp', 'u'), port: 5399 } as const
  await core.run({ steps: [step] })
  await until('the port to be free', async () => {
    const probe = createSocket('udp4')
    try {
      probe.bind({ port: 5399, address: '127.0.0.11', exclusive: true })
      await once(probe, 'listening')
      return true
    } catch {
      return false
    } finally {
      probe.close()
    }
  })
})
