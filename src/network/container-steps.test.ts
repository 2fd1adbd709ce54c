import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readMessages } from '../kernel/netlink.ts'
import type { Step } from '../kernel/plan.ts'
import { bridgeSteps, releaseSteps, vethName } from './container-steps.ts'
import type { ContainerNetwork } from './attachment.ts'
import { defaultPool } from './network.ts'
import type { Network } from './network.ts'

const network: Network = {
  id: 'n',
  name: 'bridge',
  driver: 'bridge',
  created: 0,
  ipv4: defaultPool('10.201.1.0/24'),
  bridge: 'dewar0',
  internal: false,
  attachable: false,
  mtu: 1500,
  icc: true,
  masquerade: true,
  hostBinding: '',
  options: {},
  labels: {},
}
const container: ContainerNetwork = {
  containerId: '0123456789abcdef',
  start: 1,
  vethPrefix: 'dewar',
  table: 'dewar_dewar0',
  ipv6: true,
  guard: true,
  attachments: [
    { network, bridgeIndex: 3, address: '10.201.1.2', mac: '02:42:0a:c9:01:02', slot: 0, gatewayPriority: 0 },
  ],
  published: [
    { protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 8080, address: '10.201.1.2', port: 80 },
    { protocol: 'udp', hostAddress: '127.0.0.1', hostPort: 53, address: '10.201.1.2', port: 53 },
  ],
}

/** What `dewar plan` would print of a step. */
function words(step: Step): string {
  if (step.op === 'netlink') return `${step.actor}: ${step.why}`
  if (step.op === 'write') return `${step.actor}: ${step.path} = ${String(step.data)}`
  if (step.op === 'reserve-port')
    return `${step.actor}: ${step.protocol} ${step.address.join('.')}:${step.port}`
  return step.op
}

test('bridgeSteps in words', () => {
  const steps = bridgeSteps(container)
  assert.deepEqual([...steps.host, ...steps.parent, ...steps.guest, ...steps.after].map(words), [
    'host: delete dewar01234567 if it is there',
    'host: tcp 0.0.0.0:8080',
    'host: udp 127.0.0.1:53',
    'parent: let the container send as 10.201.1.2 alone',
    'parent: plug the container into dewar0',
    'parent: publish 0.0.0.0:8080→80/tcp, 127.0.0.1:53→53/udp',
    'parent: let UDP clients that came too early start anew',
    'guest: /proc/sys/net/ipv6/conf/eth0/disable_ipv6 = 1',
    'guest: set eth0 up with 10.201.1.2, default route',
    'after: cut the container off its bridges',
    'after: let go of UDP clients',
    'after: take back 0.0.0.0:8080→80/tcp, 127.0.0.1:53→53/udp',
  ])
})

test('bridgeSteps asks for an acknowledgement of every message but the edges of a batch', () => {
  const steps = bridgeSteps(container)
  for (const step of [...steps.host, ...steps.parent, ...steps.guest, ...steps.after]) {
    if (step.op !== 'netlink') continue
    for (const message of readMessages(Buffer.from(step.data))) {
      const edge: boolean = step.protocol === 12 && message.type < 0x12
      assert.equal((message.flags & 4) !== 0, !edge, step.why)
    }
  }
})

test('bridgeSteps is the same for the same start, and another for another', () => {
  assert.deepEqual(bridgeSteps(container), bridgeSteps({ ...container }))
  assert.notDeepEqual(bridgeSteps(container).parent, bridgeSteps({ ...container, start: 2 }).parent)
})

test('releaseSteps tolerates that nothing is there', () => {
  for (const step of releaseSteps(container, 'host')) {
    assert.ok(step.op === 'netlink' && step.ignore !== undefined && step.ignore.length > 0, words(step))
  }
})

test('vethName fits the kernel’s 15 characters or is refused', () => {
  assert.equal(vethName('dewar', '0123456789abcdef'), 'dewar01234567')
  assert.equal(vethName('dwabcd', '0123456789abcdef', 9), 'dwabcd012345679')
  assert.throws(() => vethName('dewarxx', '01234567'), /too long a name/)
})
