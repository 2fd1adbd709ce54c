import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { DewarError } from '../base/errors.ts'
import { CAPABILITIES } from './capabilities.ts'
import { compileSeccomp } from './seccomp-compile.ts'
import { parseProfile } from './seccomp-profile.ts'
import { loadDockerProfile } from './seccomp.ts'

const context = { arch: 'x86_64', capabilities: ['CAP_CHOWN'], kernel: '6.1.0-13-amd64' } as const
const load = (profile: object, over: object = {}) =>
  loadDockerProfile(JSON.stringify(profile), { ...context, ...over })
const base = { defaultAction: 'SCMP_ACT_ERRNO' }
const rule = (names: string, more: object = {}) => ({
  names: names.split(' '),
  action: 'SCMP_ACT_ALLOW',
  ...more,
})
const namesOf = (profile: object, over: object = {}) => load(profile, over).syscalls.flatMap((s) => s.names)

test("loadDockerProfile resolves archMap to the machine's family, and nothing else", () => {
  const archMap = [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: null },
  ]
  assert.deepEqual(load({ ...base, archMap }).architectures, [
    'SCMP_ARCH_X86_64',
    'SCMP_ARCH_X86',
    'SCMP_ARCH_X32',
  ])
  assert.deepEqual(load({ ...base, archMap }, { arch: 'arm64' }).architectures, ['SCMP_ARCH_AARCH64'])
  assert.deepEqual(load({ ...base, architectures: ['SCMP_ARCH_X86'] }).architectures, ['SCMP_ARCH_X86'])
})

test('loadDockerProfile keeps a rule when all of includes and none of excludes holds', () => {
  const one = (filter: object, over: object = {}) =>
    namesOf({ ...base, syscalls: [rule('read', filter)] }, over).length === 1
  assert.equal(one({}), true)
  assert.equal(one({ includes: { caps: ['CAP_CHOWN'] } }), true)
  assert.equal(one({ includes: { caps: ['CAP_CHOWN', 'CAP_BPF'] } }), false)
  assert.equal(one({ includes: { arches: ['amd64', 'x32'] } }), true)
  assert.equal(one({ includes: { arches: ['arm64'] } }), false)
  assert.equal(one({ includes: { arches: [], caps: null } }), true)
  assert.equal(one({ includes: { minKernel: '6.1' } }), true)
  assert.equal(one({ includes: { minKernel: '6.2' } }), false)
  assert.equal(one({ includes: { minKernel: '5.19' } }), true)
  assert.equal(one({ includes: { minKernel: '4.8' } }, { kernel: '4.8-rc5' }), true)
  assert.equal(one({ excludes: { caps: ['CAP_BPF', 'CAP_CHOWN'] } }), false)
  assert.equal(one({ excludes: { arches: ['arm64'] } }), true)
  assert.equal(one({ excludes: { minKernel: '6.1' } }), false)
})

test('loadDockerProfile reads 64-bit values to the last digit', () => {
  const text = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mmap"],"action":"SCMP_ACT_KILL",
    "args":[{"index":0,"value":18446744073709551615,"valueTwo" : 9007199254740993,"op":"SCMP_CMP_EQ"}]}]}`
  const [arg] = loadDockerProfile(text, context).syscalls[0]?.args ?? []
  assert.deepEqual([arg?.value, arg?.valueTwo], [18446744073709551615n, 9007199254740993n])
})

test("loadDockerProfile takes old profiles with `name` and podman's with errno names", () => {
  assert.deepEqual(namesOf({ ...base, syscalls: [{ name: 'read', action: 'SCMP_ACT_ALLOW', args: null }] }), [
    'read',
  ])
  const podman = load({
    ...base,
    defaultErrno: 'ENOSYS',
    syscalls: [{ names: ['bpf'], action: 'SCMP_ACT_ERRNO', errno: 'EPERM' }],
  })
  assert.equal(podman.defaultErrnoRet, 38)
  assert.equal(podman.syscalls[0]?.errnoRet, 1)
})

test('loadDockerProfile says where a profile is wrong', () => {
  const bad = (profile: unknown, text: RegExp) =>
    assert.throws(
      () => loadDockerProfile(typeof profile === 'string' ? profile : JSON.stringify(profile), context),
      (e) => e instanceof DewarError && e.status === 400 && text.test(e.message),
    )
  bad('{', /^Decoding seccomp profile failed: it is not JSON/)
  bad({}, /defaultAction/)
  bad(
    { ...base, syscalls: [rule('read'), rule('read', { exludes: { caps: ['CAP_BPF'] } })] },
    /syscalls\.1: .*exludes/,
  )
  bad(
    { ...base, syscalls: [{ name: 'read', names: ['write'], action: 'SCMP_ACT_ALLOW' }] },
    /'name' or 'names'/,
  )
  bad(
    { ...base, syscalls: [rule('read', { args: [{ index: 9, value: 1, op: 'SCMP_CMP_EQ' }] })] },
    /args\.0\.index/,
  )
  bad({ ...base, syscalls: [rule('read', { includes: { minKernel: 'new' } })] }, /minKernel.*"4\.8"/)
  bad(
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_KILL","args":[{"index":0,"value":18446744073709551616,"op":"SCMP_CMP_EQ"}]}]}',
    /64 bits/,
  )
  bad(
    { ...base, architectures: ['SCMP_ARCH_X86'], archMap: [{ architecture: 'SCMP_ARCH_X86_64' }] },
    /either/,
  )
})

test('parseProfile answers any JSON with a profile or a DewarError', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      try {
        parseProfile(json)
      } catch (error) {
        assert.ok(error instanceof DewarError)
      }
    }),
  )
})

const PODMAN = '/usr/share/containers/seccomp.json'
test(
  'loadDockerProfile compiles the profile podman ships',
  { skip: !existsSync(PODMAN) && `${PODMAN} is not there` },
  () => {
    const json = readFileSync(PODMAN, 'utf8')
    for (const arch of ['x86_64', 'arm64'] as const) {
      for (const capabilities of [[], CAPABILITIES]) {
        assert.ok(
          compileSeccomp(loadDockerProfile(json, { arch, capabilities, kernel: '6.1' }), arch).filter.length >
            800,
        )
      }
    }
  },
)
