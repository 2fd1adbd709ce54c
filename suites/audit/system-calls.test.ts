import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemCall, systemCallNames } from '../../src/audit/system-calls.ts'
import { syscallNumbers } from '../../src/kernel/syscalls-table.ts'

for (const [machine, arch] of [
  ['x86_64', 'x86_64'],
  ['aarch64', 'arm64'],
] as const)
  test(`systemCall has the kernel's numbers on ${machine}`, () => {
    const table = syscallNumbers(arch)
    const names = systemCallNames()
    assert.ok(names.length > 200)
    for (const name of names) assert.equal(systemCall(machine, name), table.get(name), name)
  })
