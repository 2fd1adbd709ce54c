/**
 * The two old doors of 32-bit x86: socketcall(2) and ipc(2) carry many calls behind one number, the first
 * argument says which, and the others lie in memory where a filter cannot look. Any 64-bit program can go
 * through them with `int 0x80`, so a rule about socket() that forgets them closes nothing: CONTAINED by name
 * only.
 *
 * A rule without conditions holds behind the door too. One with conditions cannot be checked there: what it
 * would allow stays closed, what it would close is closed altogether (with the default's error, where the default
 * closes). By default, then,
 * socketcall(SYS_SOCKET) fails, because the address family cannot be seen (AF_ALG, AF_VSOCK); musl and glibc
 * builds for kernels ≥ 4.3 use the direct calls, older i386 programs need a profile that allows socketcall.
 */
import type { Rule } from './seccomp-rules.ts'
import { syscallNumbers } from './syscalls-table.ts'
import type { SyscallArch } from './syscalls-table.ts'

/** linux/net.h */
const SOCKETCALL: Readonly<Record<string, number>> = {
  socket: 1,
  bind: 2,
  connect: 3,
  listen: 4,
  accept: 5,
  getsockname: 6,
  getpeername: 7,
  socketpair: 8,
  send: 9,
  recv: 10,
  sendto: 11,
  recvfrom: 12,
  shutdown: 13,
  setsockopt: 14,
  getsockopt: 15,
  sendmsg: 16,
  recvmsg: 17,
  accept4: 18,
  recvmmsg: 19,
  sendmmsg: 20,
}

/** linux/ipc.h; the high half of the first argument is a version. */
const IPC: Readonly<Record<string, number>> = {
  semop: 1,
  semget: 2,
  semctl: 3,
  semtimedop: 4,
  msgsnd: 11,
  msgrcv: 12,
  msgget: 13,
  msgctl: 14,
  shmat: 21,
  shmdt: 22,
  shmget: 23,
  shmctl: 24,
}

/**
 * The rule that goes with `rules` of the call `name` at its old door; undefined if it has none. `unneeded`: one with
 * conditions is not needed there to close it, since what it leaves is closed or it would open.
 */
export function multiplexedCall(
  arch: SyscallArch,
  name: string,
  rules: readonly Rule[],
  unneeded: boolean,
): { readonly nr: number; readonly rule: Rule } | undefined {
  if (arch !== 'i386') return undefined
  const viaIpc = IPC[name] !== undefined
  const which = SOCKETCALL[name] ?? IPC[name]
  const nr = syscallNumbers(arch).get(viaIpc ? 'ipc' : 'socketcall')
  const [rule] = rules
  if (which === undefined || nr === undefined || rule === undefined) return undefined
  if (unneeded && rules.every((one) => one.when.length > 0)) return undefined
  const mask = viaIpc ? 0xffffn : 0xffff_ffffn
  const when = [{ index: 0, op: 'MASKED_EQ', value: mask, second: BigInt(which) } as const]
  return { nr, rule: { when, result: rule.result } }
}
