import assert from 'node:assert/strict'
import { test } from 'node:test'
import { interpretBpf } from './bpf-interpreter.ts'
import { CAPABILITIES, DEFAULT_CAPABILITIES } from './capabilities.ts'
import { AUDIT_ARCH, compileSeccomp } from './seccomp-compile.ts'
import type { MachineArch } from './seccomp-compile.ts'
import { DEFAULT_PROFILE } from './seccomp-policy.ts'
import { resolveProfile } from './seccomp-profile.ts'
import type { ProfileRule } from './seccomp-profile.ts'
import { entryPolicy } from './seccomp-rules.ts'
import type { Condition } from './seccomp-rules.ts'
import { defaultSeccompFor, seccompFilter } from './seccomp.ts'
import { SYSCALL_ARCHES, isSyscallName, syscallNumbers } from './syscalls-table.ts'
import type { SyscallArch } from './syscalls-table.ts'

const ALLOW = 0x7fff0000
const [EPERM, ENOSYS, EPROTONOSUPPORT] = [0x50001, 0x50026, 0x5005d]
const KERNEL = '6.18'
const machineOf = (arch: SyscallArch): MachineArch => (arch.startsWith('arm') ? 'arm64' : 'x86_64')

function verdict(arch: SyscallArch, caps: readonly string[], name: string, ...args: bigint[]): number {
  const machine = machineOf(arch)
  const { filter } = seccompFilter(
    defaultSeccompFor({ arch: machine, capabilities: caps, kernel: KERNEL }),
    machine,
  )
  const nr = syscallNumbers(arch).get(name)
  assert.ok(nr !== undefined, `${arch} has no ${name}`)
  return interpretBpf(filter, { arch: AUDIT_ARCH[arch], nr, args }).value
}

test('DEFAULT_PROFILE names only calls that exist, each rule with its reason', () => {
  for (const rule of DEFAULT_PROFILE.syscalls) {
    assert.ok((rule.reason ?? '').length > 5, rule.names.join())
    for (const name of rule.names) assert.ok(isSyscallName(name), name)
  }
})

function holds({ op, value, second }: Condition, given: bigint): boolean {
  if (op === 'EQ') return given === value
  if (op === 'LT') return given < value
  return op === 'MASKED_EQ' && (given & value) === second
}

/** Arguments that meet the rule's conditions. */
function meeting({ args = [] }: ProfileRule): bigint[] {
  const values = Array<bigint>(6).fill(0n)
  for (const { index, value } of args) values[index] = BigInt(value)
  return values
}

/**
 * What the rules say of one call for these capabilities, on every entry point, for arguments that meet
 * conditions.
 */
function says(
  rules: readonly ProfileRule[],
  name: string,
  capabilities: readonly string[],
  tries: readonly (readonly bigint[])[],
): string {
  return SYSCALL_ARCHES.map((arch) => {
    const nr = syscallNumbers(arch).get(name)
    if (nr === undefined) return ''
    const context = { arch: machineOf(arch), capabilities, kernel: KERNEL }
    const { syscalls } = resolveProfile({ ...DEFAULT_PROFILE, syscalls: rules }, context)
    const newest = { names: ['file_setattr'], action: 'SCMP_ACT_ALLOW' }
    const policy = { defaultAction: 'SCMP_ACT_ERRNO', architectures: [], syscalls: [...syscalls, newest] }
    const call = entryPolicy(policy, arch).calls.get(nr)
    return tries
      .map((args) => {
        const rule = call?.rules.find(({ when }) => when.every((one) => holds(one, args[one.index] ?? 0n)))
        return rule?.result ?? call?.otherwise
      })
      .join()
  }).join(' ')
}

test('DEFAULT_PROFILE has no rule and no name that could be left out', () => {
  let checked = 0
  for (const [i, rule] of DEFAULT_PROFILE.syscalls.entries()) {
    for (const name of rule.names) {
      const relevant = DEFAULT_PROFILE.syscalls.filter((r) => r.names.includes(name))
      // 1: a netlink family that nobody has, so that what opens all of them is told from what opens one.
      const tries = [meeting(rule), [0n], [2n], [16n, 0n, 1n]]
      const capSets = [[], rule.includes?.caps ?? [], DEFAULT_CAPABILITIES]
      const narrow = (rules: readonly ProfileRule[]) => rules.map((r) => ({ ...r, names: [name] }))
      const without = relevant.filter((r) => r !== rule)
      const needed = capSets.some(
        (caps) => says(narrow(relevant), name, caps, tries) !== says(narrow(without), name, caps, tries),
      )
      assert.ok(needed, `rule ${i}: ${name} changes nothing`)
      checked++
    }
  }
  assert.ok(checked > 400)
})

test('DEFAULT_PROFILE compiles to a few hundred instructions; everyday calls take at most 12 and read no argument', () => {
  for (const arch of ['x86_64', 'arm64'] as const) {
    for (const capabilities of [[], DEFAULT_CAPABILITIES, CAPABILITIES]) {
      const { filter, flags } = compileSeccomp(
        defaultSeccompFor({ arch, capabilities, kernel: KERNEL }),
        arch,
      )
      assert.ok(filter.length / 8 < 700, `${arch}: ${filter.length / 8}`)
      assert.equal(flags, 0)
      for (const name of [
        'read',
        'write',
        'openat',
        'close',
        'mmap',
        'futex',
        'epoll_pwait',
        'clock_nanosleep',
        'sendmsg',
      ]) {
        const nr = syscallNumbers(arch).get(name) ?? Number.NaN
        const { value, instructions, loads } = interpretBpf(filter, { arch: AUDIT_ARCH[arch], nr, args: [] })
        assert.equal(value, ALLOW)
        assert.ok(instructions <= 12, `${name}: ${instructions}`)
        assert.deepEqual(loads, [4, 0], 'the kernel can answer from its bitmap')
      }
    }
  }
})

test('DEFAULT_PROFILE closes for everyone what no capability opens', () => {
  const closed = [
    'io_uring_setup',
    'io_uring_enter',
    'io_uring_register',
    'userfaultfd',
    'add_key',
    'keyctl',
    'request_key',
    'kexec_load',
    'swapon',
    'swapoff',
    'move_pages',
    'migrate_pages',
    'pivot_root',
    'nfsservctl',
  ]
  for (const arch of SYSCALL_ARCHES) {
    for (const name of closed.filter((n) => syscallNumbers(arch).has(n))) {
      assert.equal(verdict(arch, CAPABILITIES, name), EPERM, `${arch} ${name}`)
    }
  }
})

test('DEFAULT_PROFILE opens a call with its capability and not with the default ones', () => {
  const pairs: [string, string][] = [
    ['CAP_SYS_ADMIN', 'mount'],
    ['CAP_SYS_ADMIN', 'unshare'],
    ['CAP_SYS_ADMIN', 'setns'],
    ['CAP_SYS_ADMIN', 'clone3'],
    ['CAP_SYS_ADMIN', 'bpf'],
    ['CAP_BPF', 'bpf'],
    ['CAP_PERFMON', 'perf_event_open'],
    ['CAP_SYSLOG', 'syslog'],
    ['CAP_DAC_READ_SEARCH', 'open_by_handle_at'],
    ['CAP_SYS_BOOT', 'reboot'],
    ['CAP_SYS_MODULE', 'init_module'],
    ['CAP_SYS_PACCT', 'acct'],
    ['CAP_SYS_PTRACE', 'kcmp'],
    ['CAP_SYS_TIME', 'clock_settime'],
    ['CAP_SYS_TTY_CONFIG', 'vhangup'],
    ['CAP_SYS_NICE', 'mbind'],
  ]
  for (const [cap, name] of pairs) {
    for (const arch of SYSCALL_ARCHES) {
      assert.notEqual(verdict(arch, DEFAULT_CAPABILITIES, name), ALLOW, `${arch} ${name}`)
      assert.equal(verdict(arch, [...DEFAULT_CAPABILITIES, cap], name), ALLOW, `${arch} ${name} with ${cap}`)
    }
  }
  assert.equal(verdict('x86_64', [], 'chroot'), EPERM)
  assert.equal(verdict('x86_64', DEFAULT_CAPABILITIES, 'chroot'), ALLOW)
})

test('DEFAULT_PROFILE lets clone make threads and no namespaces, and sends clone3 back to clone', () => {
  const THREAD = 0x3d0f00n
  for (const arch of SYSCALL_ARCHES) {
    assert.equal(verdict(arch, DEFAULT_CAPABILITIES, 'clone', THREAD), ALLOW)
    for (const flag of [
      0x20000n,
      0x2000000n,
      0x4000000n,
      0x8000000n,
      0x10000000n,
      0x20000000n,
      0x40000000n,
    ]) {
      assert.equal(verdict(arch, DEFAULT_CAPABILITIES, 'clone', THREAD | flag), EPERM)
      assert.equal(verdict(arch, DEFAULT_CAPABILITIES, 'clone', 0x8_0000_0000n | flag), EPERM)
    }
    assert.equal(verdict(arch, DEFAULT_CAPABILITIES, 'clone3'), ENOSYS)
  }
})

test('DEFAULT_PROFILE keeps AF_ALG, AF_VSOCK and their like closed, also with high bits set and through socketcall', () => {
  for (const arch of SYSCALL_ARCHES) {
    for (const family of [1n, 2n, 10n, 16n, 17n, 29n, 31n]) {
      assert.equal(verdict(arch, DEFAULT_CAPABILITIES, 'socket', family), ALLOW, `${arch} family ${family}`)
    }
    for (const family of [15n, 21n, 30n, 33n, 38n, 40n, 43n, 44n]) {
      for (const high of [0n, 1n << 32n, 0xffff_ffffn << 32n, 1n << 63n]) {
        assert.equal(verdict(arch, CAPABILITIES, 'socket', family | high), EPERM, `${arch} ${high | family}`)
      }
    }
  }
  assert.equal(verdict('i386', CAPABILITIES, 'socketcall', 1n), EPERM)
  assert.equal(verdict('i386', DEFAULT_CAPABILITIES, 'socketcall', 3n), ALLOW)
})

test('DEFAULT_PROFILE opens of netlink what ordinary programs open, the rest with its capability', () => {
  const FAMILY = 16n
  const asks = (arch: SyscallArch, caps: readonly string[], protocol: bigint, high = 0n) =>
    verdict(arch, caps, 'socket', FAMILY | high, 3n, protocol | high)
  for (const arch of SYSCALL_ARCHES) {
    for (let protocol = 0n; protocol < 32n; protocol++) {
      const open = [0n, 4n, 15n, 16n].includes(protocol)
      const closed = protocol === 9n ? EPROTONOSUPPORT : EPERM
      const what = `${arch} protocol ${protocol}`
      assert.equal(asks(arch, DEFAULT_CAPABILITIES, protocol), open ? ALLOW : closed, what)
      assert.equal(asks(arch, DEFAULT_CAPABILITIES, protocol, 1n << 32n), EPERM, `${what} with high bits`)
      for (const cap of ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN'])
        assert.equal(asks(arch, [cap], protocol), ALLOW, `${what} with ${cap}`)
    }
    for (const cap of ['CAP_AUDIT_CONTROL', 'CAP_AUDIT_READ']) {
      assert.equal(asks(arch, [cap], 9n), ALLOW, `${arch} audit with ${cap}`)
      assert.equal(asks(arch, [cap], 6n), EPERM, `${arch} XFRM with ${cap}`)
    }
  }
})

test('defaultSeccompFor gives the same object for the same capabilities, whatever their order', () => {
  const context = { arch: 'x86_64', kernel: KERNEL } as const
  const one = defaultSeccompFor({ ...context, capabilities: ['CAP_CHOWN', 'CAP_KILL'] })
  assert.equal(defaultSeccompFor({ ...context, capabilities: ['CAP_KILL', 'CAP_CHOWN'] }), one)
  assert.equal(seccompFilter(one, 'x86_64'), seccompFilter(one, 'x86_64'))
})
