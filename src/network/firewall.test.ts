import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NetlinkWriter, readMessages } from '../kernel/netlink.ts'
import type { Step } from '../kernel/plan.ts'
import { firewallStep, parsePublished, publishSteps, unpublishSteps } from './firewall.ts'
import type { Published } from './firewall.ts'

const published: Published[] = [
  { protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 8080, address: '10.201.1.2', port: 80 },
  { protocol: 'udp', hostAddress: '203.0.113.1', hostPort: 53, address: '10.201.1.2', port: 5353 },
  { protocol: 'sctp', hostAddress: '::', hostPort: 9899, address: 'fd00::2', port: 9 },
]

function messagesOf(step: Step | undefined): { type: number; body: Buffer }[] {
  return step?.op === 'netlink' ? [...readMessages(Buffer.from(step.data))] : []
}

test('publishSteps writes what parsePublished reads', () => {
  const [step] = publishSteps('parent', 'dewar_x', published)
  const elements = messagesOf(step).filter(({ type }) => type === 0x0a0c)
  const frame = (family: number): Buffer[] =>
    elements
      .filter(({ body }) => body[0] === family)
      .map(({ body }) => {
        const w = new NetlinkWriter()
        w.message(0x0a0c, 0, () => w.bytes(body))
        return Buffer.from(w.data)
      })
  const read = [...parsePublished('ip', frame(2)), ...parsePublished('ip6', frame(10))]
  assert.deepEqual(
    new Set(read.map((one) => JSON.stringify(one))),
    new Set(published.map((one) => JSON.stringify(one))),
  )
})

test('publishSteps and unpublishSteps are nothing for nothing', () => {
  assert.deepEqual(publishSteps('parent', 'dewar_x', []), [])
  assert.deepEqual(unpublishSteps('after', 'dewar_x', []), [])
})

test('unpublishSteps adds before it deletes, so that it can be done again and cannot hit a new owner', () => {
  const [step] = unpublishSteps('after', 'dewar_x', published.slice(0, 1))
  assert.deepEqual(
    messagesOf(step).map(({ type }) => type),
    [0x10, 0x0a0c, 0x0a0e, 0x11],
  )
})

test('firewallStep replaces the table in one batch', () => {
  const step = firewallStep('host', { table: 'dewar_x', networks: [], published: [], ipv6: false })
  const types = messagesOf(step).map(({ type }) => type)
  assert.deepEqual(types.slice(0, 4), [0x10, 0x0a00, 0x0a02, 0x0a00])
  assert.equal(types.at(-1), 0x11)
  assert.equal(types.filter((type) => type === 0x10 || type === 0x11).length, 2)
})

test('publishSteps splits ten thousand ports into messages an attribute can hold', () => {
  const many = Array.from({ length: 10_000 }, (_, i): Published => ({
    protocol: 'tcp',
    hostAddress: '203.0.113.1',
    hostPort: 10_000 + i,
    address: '10.201.1.2',
    port: 10_000 + i,
  }))
  assert.equal(messagesOf(publishSteps('host', 'dewar_x', many)[0]).length, 2 + 20)
})
