import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { interpretBpf } from './bpf-interpreter.ts'
import type { OciSeccomp } from './oci.ts'
import { AUDIT_ARCH, SCMP_ARCH, compileSeccomp } from './seccomp-compile.ts'
import type { MachineArch } from './seccomp-compile.ts'
import { SYSCALL_ARCHES, syscallNumbers } from './syscalls-table.ts'
import type { SyscallArch } from './syscalls-table.ts'

// ---- the oracle: a policy read directly, call by call, sharing nothing with the compiler but the number
// tables
const SOCKETCALL = [
  '',
  'socket',
  'bind',
  'connect',
  'listen',
  'accept',
  'getsockname',
  'getpeername',
  'socketpair',
  'send',
  'recv',
  'sendto',
  'recvfrom',
  'shutdown',
  'setsockopt',
  'getsockopt',
  'sendmsg',
  'recvmsg',
  'accept4',
  'recvmmsg',
  'sendmmsg',
]
const IPC: Record<number, string> = {
  1: 'semop',
  2: 'semget',
  3: 'semctl',
  4: 'semtimedop',
  11: 'msgsnd',
  12: 'msgrcv',
  13: 'msgget',
  14: 'msgctl',
  21: 'shmat',
  22: 'shmdt',
  23: 'shmget',
  24: 'shmctl',
}
type Entry = OciSeccomp['syscalls'][number]
type Arg = NonNullable<Entry['args']>[number]

function argHolds({ index, op, value, valueTwo }: Arg, args: readonly bigint[]): boolean {
  const [a, v, w] = [args[index] ?? 0n, BigInt(value), BigInt(valueTwo ?? 0)]
  switch (op.slice(9)) {
    case 'EQ':
      return a === v
    case 'NE':
      return a !== v
    case 'LT':
      return a < v
    case 'LE':
      return a <= v
    case 'GT':
      return a > v
    case 'GE':
      return a >= v
    default:
      return (a & v) === w
  }
}

function entryHolds({ args = [] }: Entry, values: readonly bigint[]): boolean {
  const repeated = args.some((one, i) => args.findIndex((other) => other.index === one.index) !== i)
  return repeated ? args.some((one) => argHolds(one, values)) : args.every((one) => argHolds(one, values))
}

const result = (action: string, errno = 1): number =>
  ({
    SCMP_ACT_ALLOW: 0x7fff0000,
    SCMP_ACT_LOG: 0x7ffc0000,
    SCMP_ACT_TRACE: 0x7ff00000 + errno,
    SCMP_ACT_ERRNO: 0x50000 + errno,
    SCMP_ACT_TRAP: 0x30000,
    SCMP_ACT_KILL: 0,
    SCMP_ACT_KILL_THREAD: 0,
    SCMP_ACT_KILL_PROCESS: 0x80000000,
  })[action] ?? Number.NaN
const carriedOut = (value: number) => value >= 0x7ff00000 && value < 0x80000000

function evaluate(
  policy: OciSeccomp,
  machine: MachineArch,
  arch: SyscallArch,
  nr: number,
  args: readonly bigint[],
): number {
  if (arch !== machine && !policy.architectures.includes(SCMP_ARCH[arch])) return 0x80000000
  const table = syscallNumbers(arch)
  const otherwise = result(policy.defaultAction, policy.defaultErrnoRet)
  const unknown = carriedOut(otherwise) ? otherwise : 0x50026
  const names = [...table].filter(([, n]) => n === nr).map(([name]) => name)
  if (names.length === 0) return unknown
  const first = Number(args[0] ?? 0n)
  const behind =
    arch !== 'i386'
      ? undefined
      : names.includes('socketcall')
        ? SOCKETCALL[(args[0] ?? 0n) & 0xffffffffn ? first >>> 0 : 0]
        : names.includes('ipc')
          ? IPC[first & 0xffff]
          : undefined
  const speaking = policy.syscalls.filter((e) => result(e.action, e.errnoRet) !== otherwise)
  const own = speaking.filter((e) => e.names.some((n) => names.includes(n)))
  const always = own.find((e) => (e.args ?? []).length === 0)
  if (always !== undefined) return result(always.action, always.errnoRet)
  for (const e of speaking) {
    const value = result(e.action, e.errnoRet)
    for (const name of e.names) {
      if (names.includes(name) && entryHolds(e, args)) return value
      const unneeded = carriedOut(value) || !carriedOut(otherwise)
      if (behind === name && !(unneeded && (e.args ?? []).length > 0)) return value
    }
  }
  const newest = Math.max(...policy.syscalls.flatMap((e) => e.names.map((n) => table.get(n) ?? -1)), -1)
  return nr > newest ? unknown : otherwise
}

// ---- generators
const POOL = [
  'read',
  'write',
  'socket',
  'bind',
  'shmat',
  'semop',
  'socketcall',
  'ipc',
  'clone',
  'clone3',
  'personality',
  'mmap',
  'mmap2',
  'openat',
  'mseal',
  'keyctl',
  'arch_prctl',
  'breakpoint',
  'recv',
  'umount2',
  'sync_file_range2',
]
const action = fc.constantFrom(
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_TRAP',
  'SCMP_ACT_LOG',
  'SCMP_ACT_TRACE',
)
const errno = fc.integer({ min: 0, max: 200 })
const word = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 0xffffn, 0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_0001n, 0xffff_ffff_ffff_ffffn),
  fc.bigInt({ min: 0n, max: 30n }),
  fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
)
const arg = fc.record({
  index: fc.integer({ min: 0, max: 5 }),
  value: word,
  valueTwo: word,
  op: fc.constantFrom(
    'SCMP_CMP_EQ',
    'SCMP_CMP_NE',
    'SCMP_CMP_LT',
    'SCMP_CMP_LE',
    'SCMP_CMP_GT',
    'SCMP_CMP_GE',
    'SCMP_CMP_MASKED_EQ',
  ),
})
const entry = fc.record(
  {
    names: fc.uniqueArray(fc.constantFrom(...POOL), { minLength: 1, maxLength: 4 }),
    action,
    errnoRet: errno,
    args: fc.array(arg, { maxLength: 3 }),
  },
  { requiredKeys: ['names', 'action', 'args'] },
)
const policies = fc.record(
  {
    defaultAction: action,
    defaultErrnoRet: errno,
    architectures: fc.subarray(Object.values(SCMP_ARCH)),
    syscalls: fc.array(entry, { maxLength: 12 }),
  },
  { requiredKeys: ['defaultAction', 'architectures', 'syscalls'] },
)

const MACHINE: Record<SyscallArch, MachineArch> = {
  x86_64: 'x86_64',
  i386: 'x86_64',
  x32: 'x86_64',
  arm64: 'arm64',
  arm: 'arm64',
}
const numbers = (arch: SyscallArch) =>
  fc.oneof(
    fc
      .constantFrom(...POOL)
      .map((name) => syscallNumbers(arch).get(name) ?? (arch === 'x32' ? 0x40000000 : 0)),
    fc.constantFrom(...syscallNumbers(arch).values()),
    arch === 'x32'
      ? fc.integer({ min: 0x40000000, max: 0xffffffff })
      : fc.integer({ min: 0, max: arch === 'x86_64' ? 0x3fffffff : 0xffffffff }),
  )
const calls = fc.constantFrom(...SYSCALL_ARCHES).chain((arch) =>
  fc.record({
    arch: fc.constant(arch),
    nr: numbers(arch),
    args: fc.array(word, { minLength: 6, maxLength: 6 }),
  }),
)

/** Values next to those the policy compares with, so that both sides of each condition are met. */
function near(policy: OciSeccomp, args: readonly bigint[], pick: number): bigint[] {
  const known = policy.syscalls.flatMap((e) =>
    (e.args ?? []).flatMap((a) => [BigInt(a.value), BigInt(a.valueTwo ?? 0)]),
  )
  const chosen = known[pick % Math.max(known.length, 1)] ?? 0n
  return args.map((a, i) =>
    (pick >> i) & 1 ? BigInt.asUintN(64, chosen + BigInt(((pick >> (i + 6)) % 3) - 1)) : a,
  )
}

test('compileSeccomp gives every call the verdict that reading the policy gives', () => {
  fc.assert(
    fc.property(
      policies,
      fc.array(fc.tuple(calls, fc.nat()), { minLength: 30, maxLength: 30 }),
      (policy, tries) => {
        const programs = {
          x86_64: compileSeccomp(policy, 'x86_64').filter,
          arm64: compileSeccomp(policy, 'arm64').filter,
        }
        for (const [{ arch, nr, args }, pick] of tries) {
          const machine = MACHINE[arch]
          const given = near(policy, args, pick)
          const { value } = interpretBpf(programs[machine], { arch: AUDIT_ARCH[arch], nr, args: given })
          assert.equal(value, evaluate(policy, machine, arch, nr, given), `${arch} ${nr} ${given.join()}`)
        }
      },
    ),
    { numRuns: 400 },
  )
})

const errnoPolicy = (...syscalls: Entry[]): OciSeccomp => ({
  defaultAction: 'SCMP_ACT_ERRNO',
  architectures: [],
  syscalls,
})
const verdict = (policy: OciSeccomp, arch: SyscallArch, name: string | number, ...args: bigint[]) =>
  interpretBpf(compileSeccomp(policy, MACHINE[arch]).filter, {
    arch: AUDIT_ARCH[arch],
    nr: typeof name === 'number' ? name : (syscallNumbers(arch).get(name) ?? Number.NaN),
    args,
  }).value
const ALLOW = 0x7fff0000

test('compileSeccomp kills what enters by an architecture outside the policy, known or not', () => {
  const policy = errnoPolicy({ names: ['read'], action: 'SCMP_ACT_ALLOW' })
  assert.equal(verdict(policy, 'x86_64', 'read'), ALLOW)
  assert.equal(verdict(policy, 'i386', 'read'), 0x80000000)
  assert.equal(verdict(policy, 'x32', 'read'), 0x80000000)
  assert.equal(verdict(policy, 'arm', 'read'), 0x80000000)
  const { filter } = compileSeccomp(policy, 'arm64')
  assert.equal(interpretBpf(filter, { arch: AUDIT_ARCH.x86_64, nr: 0, args: [] }).value, 0x80000000)
})

test('compileSeccomp answers ENOSYS to numbers newer than the policy and to those no kernel has', () => {
  const policy = errnoPolicy({ names: ['close_range'], action: 'SCMP_ACT_ALLOW' })
  assert.equal(verdict(policy, 'x86_64', 'mount'), 0x50001)
  assert.equal(verdict(policy, 'x86_64', 'openat2'), 0x50026)
  assert.equal(verdict(policy, 'x86_64', 400), 0x50026)
  assert.equal(verdict(policy, 'x86_64', 100_000), 0x50026)
  assert.equal(verdict({ ...policy, defaultAction: 'SCMP_ACT_ALLOW' }, 'x86_64', 100_000), ALLOW)
})

test('compileSeccomp takes two conditions on one argument as alternatives, as runc does', () => {
  const eq = (value: number) => ({ index: 0, value, op: 'SCMP_CMP_EQ' })
  const policy = errnoPolicy({ names: ['personality'], action: 'SCMP_ACT_ALLOW', args: [eq(0), eq(8)] })
  assert.deepEqual(
    [0n, 8n, 1n].map((a) => verdict(policy, 'x86_64', 'personality', a)),
    [ALLOW, ALLOW, 0x50001],
  )
})

test('compileSeccomp closes the old door of a call whose arguments it would have to see', () => {
  const deny: OciSeccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: ['SCMP_ARCH_X86'],
    syscalls: [
      { names: ['socket'], action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 38, op: 'SCMP_CMP_EQ' }] },
    ],
  }
  assert.equal(verdict(deny, 'i386', 'socket', 2n), ALLOW)
  assert.equal(verdict(deny, 'i386', 'socketcall', 1n), 0x50001)
  assert.equal(verdict(deny, 'i386', 'socketcall', 2n), ALLOW)
})

test('compileSeccomp refuses what it cannot keep, with the reason', () => {
  const bad = (entry: Partial<Entry>, text: RegExp) =>
    assert.throws(
      () => compileSeccomp(errnoPolicy({ names: ['read'], action: 'SCMP_ACT_ALLOW', ...entry }), 'x86_64'),
      text,
    )
  bad({ action: 'SCMP_ACT_NOTIFY' }, /NOTIFY cannot be had \(it hands calls to a listener/)
  bad({ action: 'SCMP_ACT_MAYBE' }, /unknown action "SCMP_ACT_MAYBE"/)
  bad({ args: [{ index: 6, value: 0, op: 'SCMP_CMP_EQ' }] }, /argument 6/)
  bad({ args: [{ index: 0, value: -1, op: 'SCMP_CMP_EQ' }] }, /64 bits/)
  bad({ args: [{ index: 0, value: 0, op: 'SCMP_CMP_LIKE' }] }, /SCMP_CMP_MASKED_EQ/)
  bad({ names: ['keyctll'], action: 'SCMP_ACT_KILL' }, /no system call is named "keyctll"/)
  assert.doesNotThrow(() =>
    compileSeccomp(errnoPolicy({ names: ['keyctll'], action: 'SCMP_ACT_ALLOW' }), 'x86_64'),
  )
  assert.throws(() => compileSeccomp({ ...errnoPolicy(), flags: ['X'] }, 'arm64'), /unknown flag "X"/)
  const many = Array.from({ length: 1200 }, (_, i) => ({
    names: ['socket'],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 0, value: i, op: 'SCMP_CMP_EQ' }],
  }))
  assert.throws(() => compileSeccomp(errnoPolicy(...many), 'x86_64'), /too many instructions/)
})

test('compileSeccomp reaches ends more than 255 instructions away', () => {
  const many = Array.from({ length: 300 }, (_, i) => ({
    names: ['socket'],
    action: i % 2 ? 'SCMP_ACT_ALLOW' : 'SCMP_ACT_TRAP',
    args: [{ index: 0, value: i * 3, op: 'SCMP_CMP_EQ' }],
  }))
  const policy = errnoPolicy(...many)
  for (const i of [0, 1, 150, 298, 299]) {
    assert.equal(verdict(policy, 'x86_64', 'socket', BigInt(i * 3)), i % 2 ? ALLOW : 0x30000)
  }
  assert.equal(verdict(policy, 'x86_64', 'socket', 1n), 0x50001)
  assert.equal(verdict(policy, 'x86_64', 'read'), 0x50001)
})
