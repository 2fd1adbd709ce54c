import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { completeHostConfig } from './config.ts'
import { meterFolders, presentMeters } from './meters.ts'
import { closedPaths } from './spec-mounts.ts'
import type { HostConfig } from './types.ts'

test('meterFolders gives devices, not the links to them, and nothing where there are none', () => {
  const sys = realpathSync(mkdtempSync(join(tmpdir(), 'dwt-sys-')))
  try {
    assert.deepEqual(meterFolders(sys), [])
    const sensor = join(sys, 'devices/platform/coretemp.0/hwmon/hwmon3')
    const throttle = join(sys, 'devices/system/cpu/cpu0/thermal_throttle')
    for (const folder of [
      sensor,
      throttle,
      join(sys, 'devices/system/cpu/cpufreq'),
      join(sys, 'class/hwmon'),
    ])
      mkdirSync(folder, { recursive: true })
    writeFileSync(join(throttle, 'core_throttle_count'), '0\n')
    symlinkSync(sensor, join(sys, 'class/hwmon/hwmon3'))
    symlinkSync('../nowhere', join(sys, 'class/hwmon/hwmon4'))
    assert.deepEqual(meterFolders(sys), [sensor, throttle])
  } finally {
    rmSync(sys, { recursive: true })
  }
})

test('closedPaths closes the meters of this start, unless the client says which paths are closed', () => {
  const defaults = { runtime: 'namespaces', logConfig: { type: 'json-file', config: {} } }
  const closed = (given: Partial<HostConfig>, meter: string) =>
    closedPaths(completeHostConfig(given, defaults), false, [meter]).masked
  assert.ok(closed({}, '/sys/m').includes('/sys/m'))
  // As it is in the record: another boot gives the sensors other names.
  assert.ok(closed(completeHostConfig({}, defaults), '/sys/n').includes('/sys/n'))
  assert.deepEqual(closed({ maskedPaths: [] }, '/sys/m'), [])
  // A record of an engine that wrote the list down.
  assert.deepEqual(closed({ maskedPaths: ['/proc/kcore'] }, '/sys/m'), ['/proc/kcore'])
  assert.deepEqual(closed({ privileged: true }, '/sys/m'), [])
})

test('presentMeters is one list as long as it is the same, and what meterFolders finds', () => {
  assert.deepEqual(presentMeters(), meterFolders())
  assert.equal(presentMeters(), presentMeters())
})
