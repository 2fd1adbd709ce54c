import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { hostState, leftBehind } from './host-state.ts'
import type { HostState } from './host-state.ts'

/** Traces that are the experiment's and no other test's. */
const isOurs = (line: string): boolean => /dewar-experiment|dwx[0-9a-f]{6}|\/srv\/server\.js/.test(line)

/** To be taken before an experiment, for `assertNoTraces` after it. */
export const tracesBefore = (): Promise<HostState> => hostState((line) => !isOurs(line))

export async function assertNoTraces(before: HostState): Promise<void> {
  assert.deepEqual(await leftBehind(before, (line) => !isOurs(line)), [])
  assert.deepEqual(
    readdirSync('/var/tmp').filter((name) => name.startsWith('dewar-experiment-')),
    [],
  )
}
