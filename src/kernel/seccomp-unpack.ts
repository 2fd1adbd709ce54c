/**
 * The filter of the process that unpacks layers and packs trees (native/files.c). Its input was written by
 * strangers; should a fault in that code ever be taken over, what is left are the calls below on the one tree
 * it has pivoted into: no new process, no socket, no mount, no code that was not in the program at its start.
 *
 * Closed calls answer EPERM rather than kill, so that a call a C library makes on some other machine becomes
 * an error with a path and not a dead process.
 */
import type { OciSeccomp } from './oci.ts'
import { compileSeccomp } from './seccomp-compile.ts'
import type { MachineArch, SeccompFilter } from './seccomp-compile.ts'

const PROT_EXEC = 4n
/** Third argument of mmap and mprotect. */
const notExecutable = [{ index: 2, op: 'SCMP_CMP_MASKED_EQ', value: PROT_EXEC, valueTwo: 0n }]

const allow = (words: string, args: OciSeccomp['syscalls'][number]['args'] = []) => ({
  names: words.split(/\s+/),
  action: 'SCMP_ACT_ALLOW',
  args,
})

const UNPACK: OciSeccomp = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: 1,
  architectures: [], // the machine's own only: anything else is killed
  syscalls: [
    // the stream, and the answer to the engine: descriptors that were open before
    allow('read write readv writev sendto sendmsg recvfrom recvmsg poll ppoll'),
    // names: each folder by openat2(RESOLVE_IN_ROOT), the last component by the *at calls
    allow(
      'openat2 openat open close fcntl faccessat faccessat2 newfstatat fstat statx readlinkat getdents64 umask',
    ),
    // contents
    allow('pread64 pwrite64 lseek ftruncate fallocate fsync'),
    // the tree
    allow('mkdirat mknodat symlinkat linkat unlinkat renameat renameat2'),
    // attributes
    allow('fchown fchownat fchmod fchmodat fchmodat2 utimensat fsetxattr fgetxattr flistxattr'),
    // memory, without anything executable
    allow('brk munmap mremap madvise'),
    allow('mmap mprotect', notExecutable),
    // the end, and what a C library does between
    allow(
      'exit exit_group rt_sigprocmask rt_sigaction rt_sigreturn restart_syscall futex getpid gettid clock_gettime',
    ),
  ],
}

const compiled = new Map<MachineArch, SeccompFilter>()

/** For the `seccomp` step before `unpack`, `pack` and `read`. */
export function unpackFilter(arch: MachineArch): SeccompFilter {
  const known = compiled.get(arch)
  if (known !== undefined) return known
  const filter = compileSeccomp(UNPACK, arch)
  compiled.set(arch, filter)
  return filter
}
