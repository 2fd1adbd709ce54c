/**
 * Probes of what this machine's kernel may lack, in an emulated one that has it: AppArmor, sockets of the kernel's
 * cryptography, a thermometer, crash helpers, samepage merging. Each says LEAK where it is open.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { section } from '../harness/emulated-machine.ts'
import { PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { partsOfHost, tell } from './engine-machine.ts'
import { thermalZone } from './thermal-zone.ts'

test(
  'I17, I24, I25, A18, A30 and I13 say LEAK where a kernel has what they look for, and CONTAINED where it is closed',
  { skip: missing('qemu-system-x86_64', 'mke2fs', 'busybox', 'setpriv', 'ldd', 'unshare') },
  async (t) => {
    const parts = await partsOfHost()
    if (typeof parts === 'string') return t.skip(parts)
    await using folder = await tempFolder('audit-machine')
    const acpi = join(folder.path, 'thermal-zone.aml')
    writeFileSync(acpi, thermalZone(3032, 3732))
    const text = await tell(parts, {
      module: 'story-audit.js',
      programs: {
        'opt/dewar/native/build/dewar-probe': join(PROJECT, 'native/build/dewar-probe'),
        // busybox's knows no --kill-child.
        'bin/unshare': '/usr/bin/unshare',
      },
      alsoOutside: true,
      acpi,
      append: 'log_buf_len=4M printk.devkmsg=on',
    })
    assert.doesNotMatch(text, /FAILED/, text)
    const has = (name: string, ...expected: readonly RegExp[]) => {
      for (const one of expected) assert.match(section(text, name), one, `${name}\n${text}`)
    }
    has('machine', /^zones 30\d\d\d$/m, /^label unconfined$/m)
    has('closed', /^I17 CONTAINED/m, /^I25 CONTAINED/m, /^A18 ABSENT/m, /^A30 CONTAINED: Merging is off/m)
    // Dewar has no profile of its own (docs/THREATS.md).
    has('closed', /^I24 LEAK: .* unconfined$/m)
    has('open', /^I17 LEAK: .*thermal_zone0\/temp/m, /^I25 LEAK: .*socket\(AF_ALG\): worked/m)
    has('open', /^A18 LEAK: .*\|\/bin\/true %p/m, /^A30 LEAK: .* equal pages of two containers became one/m)
    has('unmerged', /^A30 CONTAINED/m)
    has('log', /^I13 LEAK: .*\/dev\/kmsg gives the canary/m)
  },
)
