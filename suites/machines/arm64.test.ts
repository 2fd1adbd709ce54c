/** arm64 for real: the core and the engine in an emulated machine of that kind, and what its filter does in the kernel. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { unpackedPackages } from '../harness/debian-packages.ts'
import { kernelIn, section } from '../harness/emulated-machine.ts'
import { packagedNode } from '../harness/packaged-node.ts'
import { PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { ARM_GETPID, ARM_MOUNT, armProgram, CLOSED } from './arm64-calls.ts'
import { tell } from './engine-machine.ts'
import type { Parts } from './engine-machine.ts'

const { EPERM, ENOSYS, EFAULT } = constants.errno
const LIBRARIES = [
  'ld-linux-aarch64.so.1',
  'libc.so.6',
  'libm.so.6',
  'libdl.so.2',
  'libpthread.so.0',
  'libgcc_s.so.1',
]

test(
  'on arm64 the core is built without a warning, containers are what they are elsewhere, and the filter holds by both entries',
  { skip: missing('qemu-system-aarch64', 'setpriv', 'aarch64-linux-gnu-gcc', 'mke2fs', 'busybox', 'npm') },
  async (t) => {
    const parts = await arm64Parts()
    if (typeof parts === 'string') return t.skip(parts)
    await using folder = await tempFolder('arm64')
    const programs = compile(folder.path)
    const text = await tell(parts, {
      module: 'story-arm64.js',
      programs,
      alsoOutside: true,
    })
    assert.doesNotMatch(text, /FAILED/, text)
    const has = (name: string, ...expected: readonly RegExp[]) => {
      for (const one of expected) assert.match(section(text, name), one, `${name}\n${text}`)
    }
    const numbers = (name: string) => section(text, name).trim().split('\n').map(Number)
    has('machine', /^aarch64\nstatus 0/)
    const outside = section(text, 'outside').trim().split('\n')
    const inside = section(text, 'inside').trim().split('\n').slice(0, -1)
    assert.equal(new Set([...outside, ...inside]).size, 16, `all eight namespaces are others:\n${text}`)
    has('status', /^Seccomp:\s+2$/m, /^CapBnd:\s+00000000a80425fb$/m)
    has('ids', /^0\n\s+0\s+[1-9]\d+\s+65536\n.* 0 +0 /)
    has('network', /^answers\nstatus 0/)
    has('memory', /^status 137$/m)
    has('device', /^made$/m, /\/disk: Operation not permitted/)
    // Reached without the filter: any other answer than those that a filter gives.
    for (const [index, answer] of numbers('closed without').entries())
      assert.ok(
        ![-EPERM, -ENOSYS].includes(answer),
        `${CLOSED[index]?.[0]} answers ${answer} without the filter`,
      )
    for (const name of ['closed with', 'container-closed']) {
      const answers = numbers(name).slice(0, CLOSED.length)
      for (const [index, answer] of answers.entries())
        assert.ok([-EPERM, -ENOSYS].includes(answer), `${name}: ${CLOSED[index]?.[0]} answers ${answer}`)
      assert.equal(answers.length, CLOSED.length)
    }
    assert.deepEqual(
      numbers('open with').map((answer) => Math.sign(answer)),
      numbers('open without').map((answer) => Math.sign(answer)),
    )
    assert.ok(!numbers('open with').includes(-EPERM))
    has('arm without', new RegExp(`^mount ${EFAULT}\ngetpid 0\n`))
    has('arm with', new RegExp(`^mount ${EPERM}\ngetpid 0\n`))
    has('container-arm', new RegExp(`^\nstatus ${EPERM}\n`))
    has('container-arm-open', /^\nstatus 0\n/)
    has('left', /^\[\]$/m)
  },
)

/** Path inside → path here. */
function compile(folder: string): Record<string, string> {
  const flags = ['-static', '-O1', '-Wall', '-Wextra', '-Werror', '-no-pie', '-fno-pie']
  const source = join(PROJECT, 'suites/limits/try-syscalls.c')
  execFileSync('aarch64-linux-gnu-gcc', [...flags, '-o', join(folder, 'try'), source], { stdio: 'inherit' })
  const code = { 'arm-mount': ARM_MOUNT, 'arm-getpid': ARM_GETPID }
  for (const [name, words] of Object.entries(code))
    writeFileSync(join(folder, name), armProgram(words), { mode: 0o755 })
  return Object.fromEntries(['try', ...Object.keys(code)].map((name) => [name, join(folder, name)]))
}

async function arm64Parts(): Promise<Parts | string> {
  const names = ['linux-image-cloud-arm64', 'busybox-static', 'libc6', 'libstdc++6', 'libgcc-s1']
  const packages = await unpackedPackages({
    release: 'bookworm',
    architecture: 'arm64',
    names,
    following: 'linux-image-',
  })
  if (typeof packages === 'string') return packages
  const node = await packagedNode('20.20.2', 'arm64')
  if (node === undefined) return 'npm’s registry does not give Node for arm64'
  // Not one warning: they are errors.
  execFileSync(process.execPath, [join(PROJECT, 'native/build.mjs'), 'arm64'], { stdio: 'inherit' })
  const libraries = LIBRARIES.map((name) => [
    `/lib/${name}`,
    join(packages.folder, 'lib/aarch64-linux-gnu', name),
  ])
  const standard = join(packages.folder, 'usr/lib/aarch64-linux-gnu/libstdc++.so.6')
  return {
    // No newer processor: authenticated pointers, which newer ones have, are slow to emulate.
    qemu: ['qemu-system-aarch64', '-M', 'virt', '-cpu', 'cortex-a57'],
    console: 'ttyAMA0',
    kernel: kernelIn(packages.folder),
    busybox: join(packages.folder, 'bin/busybox'),
    node,
    libraries: Object.fromEntries([...libraries, ['/lib/libstdc++.so.6', standard]]) as Record<
      string,
      string
    >,
    core: join(PROJECT, 'native/build/dewar-core-arm64'),
  }
}
