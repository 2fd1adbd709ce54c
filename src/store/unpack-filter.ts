/**
 * The system calls that unpacking and packing make (native/files.c), and what leaving the process takes. Everything
 * else answers EPERM: code that a hostile archive had taken over would hold CAP_SYS_ADMIN, but could neither mount,
 * nor make processes or sockets, nor load programs into the kernel.
 */
import type { OciSeccomp } from '../kernel/oci.ts'
import { machineArch, seccompFilter } from '../kernel/seccomp.ts'

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'the stream': ['read', 'readv', 'write', 'writev', 'sendto', 'sendmsg', 'recvfrom', 'recvmsg'],
  'open and close': ['open', 'openat', 'openat2', 'close', 'fcntl', 'dup'],
  look: [
    'fstat',
    'newfstatat',
    'lseek',
    'pread64',
    'readlinkat',
    'getdents64',
    'faccessat',
    'faccessat2',
    'flistxattr',
    'fgetxattr',
  ],
  make: ['mkdirat', 'mknodat', 'symlinkat', 'linkat', 'pwrite64', 'ftruncate'],
  describe: ['fchown', 'fchownat', 'fchmod', 'utimensat', 'fsetxattr', 'umask'],
  'take away': ['unlinkat'],
  'memory of the C library': ['brk', 'mmap', 'munmap', 'mremap', 'madvise'],
  end: ['exit', 'exit_group', 'rt_sigreturn', 'rt_sigprocmask', 'rt_sigaction', 'restart_syscall'],
}

const EPERM = 1

export const UNPACK_POLICY: OciSeccomp = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: EPERM,
  architectures: [],
  syscalls: [{ names: Object.values(GROUPS).flat(), action: 'SCMP_ACT_ALLOW' }],
}

/** The filter for this machine; undefined on one that Dewar has no system call tables for. */
export function unpackFilter(): Uint8Array | undefined {
  const arch = machineArch(process.arch)
  return arch === undefined ? undefined : seccompFilter(UNPACK_POLICY, arch).filter
}
