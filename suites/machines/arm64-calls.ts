/** System calls of arm64 and 32-bit arm as words for try-syscalls.c and as programs. */
import { syscallNumbers } from '../../src/kernel/syscalls-table.ts'

export type Call = readonly [name: string, ...args: string[]]

const BAD = '1' // an address that is never mapped

/** Each is refused by the kernel itself for its arguments, before it does anything; and by the filter whatever they are. */
export const CLOSED: readonly Call[] = [
  ['mount', BAD, BAD, BAD],
  ['umount2', BAD, '0xffffffff'],
  ['pivot_root', BAD, BAD],
  ['open_tree', '-1', BAD, '0'],
  ['move_mount', '-1', BAD, '-1', BAD, '0xffffffff'],
  ['fsopen', BAD, '0'],
  ['fsmount', '-1', '0xffff', '0'],
  ['mount_setattr', '-1', BAD, '0xffffffff', BAD, '0'],
  ['setns', '-1', '0'],
  ['unshare', '0x1'],
  ['clone', '0x10000200'],
  ['bpf', '999', '0', '0'],
  ['perf_event_open', BAD, '0', '-1', '-1', '0'],
  ['userfaultfd', '0xffff'],
  ['io_uring_setup', '0', BAD],
  ['add_key', BAD, BAD],
  ['request_key', BAD, BAD],
  ['keyctl', '999'],
  ['kexec_load', '0', '99999', BAD, '0'],
  ['init_module', BAD, '64', BAD],
  ['finit_module', '-1', BAD, '0xffff'],
  ['delete_module', BAD],
  ['open_by_handle_at', '-1', BAD, '0'],
  ['personality', '0x40000'],
]

/** What programs do all the time. */
export const OPEN: readonly Call[] = [
  ['getpid'],
  ['personality', '0xffffffff'],
  ['socket', '1', '1', '0'],
  ['openat', '-1', BAD, '0'],
  ['futex', BAD, '999'],
  ['epoll_create1', '0'],
]

export function tries(calls: readonly Call[]): string[] {
  const numbers = syscallNumbers('arm64')
  return calls.map(([name, ...args]) => ['64', numbers.get(name), ...args].join(':'))
}

/** mount(1, 1, 1, 0, 0) by 32-bit arm's entry; exits with the errno. */
export const ARM_MOUNT = [
  0xe3a00001,
  0xe3a01001,
  0xe3a02001,
  0xe3a03000,
  0xe3a04000, // mov r0…r4
  0xe3a07015,
  0xef000000, // mov r7, #21; svc 0
  0xe2600000,
  0xe3a07001,
  0xef000000, // rsb r0, r0, #0; mov r7, #1; svc 0
]
/** getpid(); exits with 0. */
export const ARM_GETPID = [0xe3a07014, 0xef000000, 0xe3a00000, 0xe3a07001, 0xef000000]

/** A static ELF program for 32-bit arm. */
export function armProgram(code: readonly number[]): Buffer {
  const base = 0x10000
  const start = 52 + 32
  const bytes = Buffer.alloc(start + 4 * code.length)
  bytes.write('\u007fELF\u0001\u0001\u0001', 'latin1')
  for (const [at, value] of [
    [16, 2],
    [18, 40],
    [40, 52],
    [42, 32],
    [44, 1],
  ] as const)
    bytes.writeUInt16LE(value, at)
  for (const [at, value] of [
    [20, 1],
    [24, base + start],
    [28, 52],
    [36, 0x0500_0000],
  ] as const)
    bytes.writeUInt32LE(value, at)
  // One segment: the whole file, readable and executable.
  for (const [index, value] of [1, 0, base, base, bytes.length, bytes.length, 5, 0x1000].entries())
    bytes.writeUInt32LE(value, 52 + 4 * index)
  for (const [index, word] of code.entries()) bytes.writeUInt32LE(word, start + 4 * index)
  return bytes
}
