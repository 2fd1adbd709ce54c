import assert from 'node:assert/strict'
import { test } from 'node:test'
import { interpretBpf } from './bpf-interpreter.ts'
import { AUDIT_ARCH } from './seccomp-compile.ts'
import { unpackFilter } from './seccomp-unpack.ts'
import { SYSCALL_ARCHES, syscallNumbers } from './syscalls-table.ts'

const [ALLOW, EPERM, KILL] = [0x7fff0000, 0x50001, 0x80000000]
const ask = (arch: 'x86_64' | 'arm64', name: string, ...args: bigint[]) =>
  interpretBpf(unpackFilter(arch).filter, {
    arch: AUDIT_ARCH[arch],
    nr: syscallNumbers(arch).get(name) ?? Number.NaN,
    args,
  }).value

test('unpackFilter lets files be made and closes processes, sockets, mounts and ways out', () => {
  for (const arch of ['x86_64', 'arm64'] as const) {
    for (const name of [
      'openat2',
      'mkdirat',
      'mknodat',
      'symlinkat',
      'linkat',
      'unlinkat',
      'fchownat',
      'utimensat',
      'fsetxattr',
      'pwrite64',
      'ftruncate',
      'read',
      'exit_group',
    ])
      assert.equal(ask(arch, name), ALLOW, name)
    for (const name of [
      'execve',
      'execveat',
      'clone',
      'clone3',
      'socket',
      'connect',
      'bind',
      'mount',
      'move_mount',
      'unshare',
      'setns',
      'chroot',
      'pivot_root',
      'ptrace',
      'kill',
      'ioctl',
      'prctl',
      'bpf',
      'keyctl',
      'memfd_create',
      'open_by_handle_at',
      'io_setup',
      'setuid',
      'capset',
      'process_vm_writev',
      'pidfd_open',
      'pidfd_getfd',
      'splice',
      'shmat',
      'prlimit64',
    ]) {
      assert.notEqual(ask(arch, name), ALLOW, name)
    }
  }
})

test('unpackFilter allows no executable memory', () => {
  for (const arch of ['x86_64', 'arm64'] as const) {
    for (const name of ['mmap', 'mprotect']) {
      assert.equal(ask(arch, name, 0n, 4096n, 3n), ALLOW)
      for (const prot of [4n, 5n, 7n, 0x1_0000_0007n]) assert.equal(ask(arch, name, 0n, 4096n, prot), EPERM)
    }
  }
})

test('unpackFilter kills whoever comes through another entry point', () => {
  for (const arch of SYSCALL_ARCHES.filter((a) => a !== 'x86_64')) {
    const data = { arch: AUDIT_ARCH[arch], nr: syscallNumbers(arch).get('read') ?? 0, args: [] }
    assert.equal(interpretBpf(unpackFilter('x86_64').filter, data).value, KILL, arch)
  }
})
