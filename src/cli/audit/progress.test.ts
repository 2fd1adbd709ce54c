import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROBES } from '../../audit/probes/index.ts'
import { announcement } from './progress.ts'

const missing = { reason: 'no engine listens', remedy: 'start it' }
const absent = { name: 'podman', kind: 'podman', version: '', level: '', runArguments: [], missing } as const
const options = { probes: PROBES, load: false, discover: false }

test('announcement says what will be done, about how long, and what is not here', () => {
  const probes = PROBES.map((probe) =>
    probe.id === 'A08' ? { ...probe, interference: 'load' as const } : probe,
  )
  const text = announcement(['dewar', 'docker'], [absent], { ...options, probes }, 80).join('\n')
  assert.match(
    text,
    new RegExp(`^Audit of dewar, docker: ${PROBES.length} probes on each, about \\d minutes\\.`),
  )
  assert.match(
    text.replaceAll('\n', ' '),
    /plants random words in them, looks for these words.*removes all of it/,
  )
  assert.match(text, /only with --load/)
  assert.match(text, /^podman is not here: no engine listens \(start it\)$/m)
})

test('announcement fits the terminal and takes hostile names', () => {
  const hostile = { ...absent, name: 'x\u001b[2J\ny' }
  for (const columns of [40, 80, 120])
    for (const line of announcement(['dewar'], [hostile], { ...options, discover: true }, columns)) {
      assert.ok(line.length <= columns, line)
      assert.doesNotMatch(line, /\p{Cc}/u)
    }
})

test('announcement says nothing of load where no probe makes any', () => {
  const quiet = PROBES.filter(({ interference }) => interference === 'none').slice(0, 3)
  const text = announcement(['dewar'], [], { ...options, probes: quiet }, 80).join(' ')
  assert.doesNotMatch(text, /press on CPU/)
  assert.match(text, /about 10 seconds/)
})
