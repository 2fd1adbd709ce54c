import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseInterfaceStats } from './interface-stats.ts'

test('parseInterfaceStats reads the columns of /proc/PID/net/dev and leaves lo out', () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    1046      13    1    2    0     0          0         7      726       9    3    4    0     0       0          0
`
  assert.deepEqual(parseInterfaceStats(text), {
    eth0: {
      rxBytes: 1046,
      rxPackets: 13,
      rxErrors: 1,
      rxDropped: 2,
      txBytes: 726,
      txPackets: 9,
      txErrors: 3,
      txDropped: 4,
    },
  })
})

test('parseInterfaceStats reads this machine and passes over nonsense', () => {
  assert.ok(!('lo' in parseInterfaceStats(readFileSync('/proc/self/net/dev', 'utf8'))))
  assert.deepEqual(parseInterfaceStats('eth0: 1 2 x\n: \n\n'), {})
})
