import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../kernel/plan.ts'
import type { GuardedPort } from '../network/source-guard.ts'
import { GuardSweep } from './guard-sweep.ts'

const ports = (n: number): readonly GuardedPort[] => [
  { veth: `dw${n}`, mac: '02:42:0a:c9:01:02', addresses: [`10.201.1.${n}`] },
]

/** A core that writes down whose addresses it is to take back, and refuses plans that have a bad one. */
class Recorder {
  readonly plans: string[] = []
  bad = ''
  wait: Promise<void> = Promise.resolve()

  async run({ steps }: Plan): Promise<Buffer[]> {
    const text = steps.map((step) => ('why' in step ? step.why : '')).join('; ')
    await this.wait
    if (this.bad !== '' && text.includes(this.bad)) throw new Error('no')
    this.plans.push(text.replaceAll(/let it send as | no more/g, ''))
    return []
  }
}

function sweepOf(core: Recorder): GuardSweep {
  return new GuardSweep(core, 'dewar_x', () => undefined)
}

test('what cannot be taken back keeps nobody else’s, and is tried again', async () => {
  const core = new Recorder()
  const sweep = sweepOf(core)
  for (const n of [2, 3, 4]) sweep.add(String(n), () => ports(n))
  core.bad = '10.201.1.3'
  await assert.rejects(sweep.sweep(), /no/)
  assert.deepEqual(core.plans, ['10.201.1.2', '10.201.1.4'])
  await assert.rejects(sweep.settle('3'), /no/)
  core.bad = ''
  await sweep.sweep()
  assert.deepEqual(core.plans.slice(2), ['10.201.1.3'])
  await sweep.close()
})

test('a start waits for its own alone, and ports that cannot be written down are nobody’s', async () => {
  const core = new Recorder()
  const sweep = sweepOf(core)
  sweep.add('odd', () => [{ veth: 'dw1', mac: 'none', addresses: [] }])
  for (const n of [2, 3]) sweep.add(String(n), () => ports(n))
  await sweep.settle('odd')
  await sweep.settle('3')
  assert.deepEqual(core.plans, ['10.201.1.3'])
  await sweep.close()
})

test('close waits for a sweep under way', async () => {
  const core = new Recorder()
  const sweep = sweepOf(core)
  let go = (): void => undefined
  core.wait = new Promise((resolve) => (go = resolve))
  sweep.add('2', () => ports(2))
  const order: string[] = []
  const swept = sweep.sweep().then(() => order.push('swept'))
  const closed = sweep.close().then(() => order.push('closed'))
  // Whoever does not wait is done by then.
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  order.push('going on')
  go()
  await Promise.all([swept, closed])
  assert.deepEqual(order, ['going on', 'swept', 'closed'])
})
