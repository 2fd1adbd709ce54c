import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PlanFailed } from '../kernel/plan-failed.ts'
import { readMessages } from '../kernel/netlink.ts'
import type { Step } from '../kernel/plan.ts'
import { guardProblem, guardSteps, guardWarning, unguardSteps } from './source-guard.ts'

const port = { veth: 'dwabcd01234567', mac: '02:42:0a:c9:01:02', addresses: ['10.201.1.2', 'fd00::2'] }

function bytesOf(step: Step | undefined): Buffer {
  return step?.op === 'netlink' ? Buffer.from(step.data) : Buffer.alloc(0)
}

test('guardSteps lets its addresses, nobody’s and the link-local one of its MAC be senders', () => {
  const text = bytesOf(guardSteps('host', 't', [port])[0]).toString('hex')
  const key = (address: string): string => `${'02420ac90102'}0000${address}`
  for (const address of [
    '0ac90102',
    '00000000',
    'fd000000000000000000000000000002',
    '00000000000000000000000000000000',
    'fe8000000000000000420afffec90102',
  ]) {
    assert.ok(text.includes(key(address)), address)
  }
})

test('guardSteps gives a family without an address no sender at all', () => {
  const [, hosts, more] = [
    ...readMessages(bytesOf(guardSteps('host', 't', [{ ...port, addresses: ['10.201.1.2'] }])[0])),
  ]
  assert.match(hosts?.body.toString() ?? '', /hosts\0/)
  assert.match(more?.body.toString() ?? '', /guarded\0/)
})

test('an address that is given twice, or in two spellings, is one', () => {
  const again = ['10.201.1.2', 'fd00:0::2', 'fe80::42:aff:fec9:102']
  const sizes = [port, { ...port, addresses: [...port.addresses, ...again] }].map(
    (one) => bytesOf(unguardSteps('host', 't', [one])[0]).length,
  )
  assert.ok((sizes[0] ?? 0) > 0)
  assert.equal(sizes[1], sizes[0])
})

test('guardSteps and unguardSteps are nothing for nobody', () => {
  assert.deepEqual([guardSteps('host', 't', []), unguardSteps('host', 't', [])], [[], []])
})

test('guardProblem is what the kernel answers, and guardWarning says what to do', async () => {
  const refusing = (errno: string) => ({
    run: () => Promise.reject(new PlanFailed({ step: 0, op: 'netlink', errno, path: '' })),
  })
  assert.equal(await guardProblem({ run: () => Promise.resolve([]) }, 't'), undefined)
  assert.equal(await guardProblem(refusing('EOPNOTSUPP'), 't'), 'EOPNOTSUPP')
  await assert.rejects(
    guardProblem({ run: () => Promise.reject(new Error('the core is gone')) }, 't'),
    /gone/,
  )
  assert.match(guardWarning('EOPNOTSUPP'), /^WARNING: .*EOPNOTSUPP.*--cap-drop NET_RAW/)
})
