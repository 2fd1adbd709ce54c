/**
 * Dewar's default policy: what a container may ask of the kernel. Data only; each group says why it is here.
 *
 * It closes what Docker's default closes and opens the same calls with the same capabilities, so that images
 * that work there work here. Where the two differ, the reason stands at the group. Everything not named is
 * closed with EPERM, calls newer than the newest named here with ENOSYS. Among what is closed for everyone,
 * and only `--security-opt seccomp=…`or`--privileged` opens:
 * - io_uring_*: a second, asynchronous way to make calls that no filter sees (and most kernel exploits of
 *   2021–23);
 * - userfaultfd: lets a program hold the kernel still in the middle of a copy, the classic help for races;
 * - add_key, keyctl, request_key: the keyrings are not namespaced by container;
 * - kexec_*, swapon, swapoff, nfsservctl, _sysctl, uselib, vm86, create_module and kin: the whole machine's,
 *   or history;
 * - move_pages, migrate_pages: other processes' memory placement, and an address oracle.
 *
 * NOT protected: calls with many faces (ioctl, prctl, and what is said on a netlink socket once it is open) are
 * allowed whole; what they reach is bounded by namespaces, capabilities and the device list.
 */
import type { Capability } from './capabilities.ts'
import type { Profile, ProfileRule } from './seccomp-profile.ts'

const ENOSYS = 38
const EPROTONOSUPPORT = 93
/** linux/socket.h */
const AF_KEY = 15
const AF_NETLINK = 16
/** PACKET, PPPOX, CAN, BLUETOOTH: what programs in containers open beside unix, internet and netlink sockets. */
const OTHER_FAMILIES = [17, 24, 29, 31]
/** linux/netlink.h */
const NETLINK_AUDIT = 9
const NETLINKS: readonly (readonly [protocol: number, who: string])[] = [
  [0, 'ROUTE: addresses and routes; getaddrinfo(3) and getifaddrs(3) ask there'],
  [4, 'SOCK_DIAG: ss(8)'],
  [15, 'KOBJECT_UEVENT: libudev and libusb do not start without'],
  [16, 'GENERIC: ethtool(8), wg(8), wireless'],
]
/** NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET (linux/sched.h). */
const NEW_NAMESPACES = 0x7e02_0000

const allow = (reason: string, words: string, rest: Partial<ProfileRule> = {}): ProfileRule => ({
  reason,
  names: words.split(/\s+/),
  action: 'SCMP_ACT_ALLOW',
  ...rest,
})

const withCap = (cap: Capability, reason: string, words: string): ProfileRule =>
  allow(reason, words, { includes: { caps: [cap] } })

const condition = (index: number, op: string, value: number, valueTwo = 0) => ({
  index,
  op: `SCMP_CMP_${op}`,
  value,
  valueTwo,
})

const when = (...one: Parameters<typeof condition>) => ({ args: [condition(...one)] })

const netlink = (protocol: number) => ({
  args: [condition(0, 'EQ', AF_NETLINK), condition(2, 'EQ', protocol)],
})

const EVERYDAY: readonly ProfileRule[] = [
  allow(
    'Reading and writing open files',
    `read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek close close_range
    dup dup2 dup3 fcntl fcntl64 flock ioctl fsync fdatasync sync syncfs sync_file_range arm_sync_file_range
    sync_file_range2 ftruncate ftruncate64 truncate truncate64 fallocate fadvise64 fadvise64_64
    arm_fadvise64_64 readahead copy_file_range sendfile sendfile64 splice tee vmsplice cachestat`,
  ),
  allow(
    'Opening, naming and describing files',
    `open openat openat2 creat access faccessat faccessat2 stat stat64 lstat lstat64 fstat fstat64 fstatat64
    newfstatat statx statfs statfs64 fstatfs fstatfs64 readlink readlinkat getdents getdents64 getcwd chdir
    fchdir umask name_to_handle_at`,
  ),
  allow(
    'Changing the file tree; who may is decided by ownership and capabilities',
    `mkdir mkdirat rmdir link linkat symlink symlinkat unlink unlinkat rename renameat renameat2 mknod
    mknodat chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 utime
    utimes utimensat utimensat_time64 futimesat`,
  ),
  allow(
    'Extended attributes',
    `getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr
    flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat`,
  ),
  allow('Looking at the own mount table', 'listmount statmount'),
  allow('Watching files', 'inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark'),
  allow(
    'Pipes, waiting for descriptors, events',
    `pipe pipe2 poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1
    epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4`,
  ),
  allow(
    'Asynchronous input and output of the old kind (databases)',
    `io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64`,
  ),
  allow(
    'Own memory',
    `brk mmap mmap2 munmap mremap mprotect madvise msync mincore mlock mlock2 munlock mlockall munlockall
    remap_file_pages memfd_create memfd_secret mseal pkey_alloc pkey_free pkey_mprotect map_shadow_stack
    membarrier`,
  ),
  allow(
    'Starting and ending processes; clone is ruled below',
    `fork vfork execve execveat exit exit_group wait4 waitid waitpid prctl arch_prctl modify_ldt
    set_thread_area get_thread_area set_tid_address set_robust_list get_robust_list rseq restart_syscall
    pidfd_open pidfd_send_signal process_mrelease`,
  ),
  allow('Programs for 32-bit Arm', 'breakpoint cacheflush set_tls'),
  allow(
    'The kernel itself puts these where a probe sits; closed they would kill the traced program',
    'uretprobe uprobe',
  ),
  allow(
    'Signals',
    `kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigpending rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn pause`,
  ),
  allow(
    'Debuggers, within the own process tree (safe since 4.8, when ptrace came before the filter)',
    'ptrace process_vm_readv process_vm_writev',
  ),
  allow(
    'Who am I',
    `getpid getppid gettid getpgid getpgrp getsid setpgid setsid getuid getuid32 geteuid geteuid32 getgid
    getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32 getgroups getgroups32`,
  ),
  allow(
    'Changing identity; capabilities decide',
    `setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid
    setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset`,
  ),
  allow(
    'Building an own sandbox further in',
    `seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self`,
  ),
  allow(
    'Locks shared between threads and processes',
    'futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue',
  ),
  allow(
    'Time and timers; setting the clock needs a capability',
    `time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep
    clock_nanosleep_time64 clock_adjtime clock_adjtime64 adjtimex nanosleep alarm getitimer setitimer times
    timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64`,
  ),
  allow(
    'Scheduling and limits of own processes',
    `sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam
    sched_setparam sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min
    sched_rr_get_interval sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set getcpu
    getrlimit ugetrlimit setrlimit prlimit64 getrusage`,
  ),
  allow('Facts about the machine', 'uname sysinfo getrandom'),
  allow(
    'Sockets once they exist; socket itself is ruled below',
    `bind connect listen accept accept4 getsockname getpeername socketpair send sendto sendmsg sendmmsg recv
    recvfrom recvmsg recvmmsg recvmmsg_time64 shutdown setsockopt getsockopt`,
  ),
  allow(
    'System V and POSIX messages, semaphores, shared memory: an IPC namespace of its own',
    `msgget msgsnd msgrcv msgctl semget semop semtimedop semtimedop_time64 semctl shmget shmat shmdt shmctl
    mq_open mq_unlink mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64 mq_notify
    mq_getsetattr`,
  ),
]

/**
 * What is closed: AF_KEY (CVE-2022-1353), RDS (CVE-2010-3904), TIPC (CVE-2021-43267), RXRPC (CVE-2026-43284), AF_ALG
 * (CVE-2026-31431), VSOCK (it reaches the hypervisor past all namespaces), SMC (CVE-2026-43500), XDP, and families of
 * networks that nobody has. No ordinary program opens one.
 * The kernel reads the family as a 32-bit int and ignores the upper half of the register, the filter sees all 64 bits:
 * "greater than 40" lets 0x1_0000_0026 pass, which is AF_ALG again. So what is open is a range that begins at 0 (all of
 * 64 bits below AF_KEY), and names: no set upper bit is below it or equal to them.
 */
const SOCKETS: readonly ProfileRule[] = [
  allow('Sockets of the first families: unix, internet, and old networks', 'socket', when(0, 'LT', AF_KEY)),
  ...OTHER_FAMILIES.map((family) =>
    allow('Packet, PPP over Ethernet, CAN, Bluetooth', 'socket', when(0, 'EQ', family)),
  ),
]

/**
 * Of netlink what ordinary programs open. Docker's profile lets all of it through, and any user who opens a family makes
 * the host's kernel load its module: XFRM (CVE-2022-27666, CVE-2017-7184), NETFILTER (CVE-2024-1086), ISCSI
 * (CVE-2021-27365), CRYPTO, RDMA, CONNECTOR. They serve nobody without the capability that opens them here.
 */
const NETLINK: readonly ProfileRule[] = [
  ...NETLINKS.map(([protocol, who]) => allow(`Netlink ${who}`, 'socket', netlink(protocol))),
  ...['CAP_NET_ADMIN', 'CAP_SYS_ADMIN'].map((cap) =>
    allow('Netlink of all kinds: firewalls, IPsec, disks', 'socket', {
      ...when(0, 'EQ', AF_NETLINK),
      includes: { caps: [cap] },
    }),
  ),
  ...['CAP_AUDIT_CONTROL', 'CAP_AUDIT_READ'].map((cap) =>
    allow("Netlink AUDIT: the audit's own tools", 'socket', {
      ...netlink(NETLINK_AUDIT),
      includes: { caps: [cap] },
    }),
  ),
  {
    reason:
      'Netlink AUDIT takes no message from a user namespace; PAM, sudo and sshd go on without it when the kernel has none',
    names: ['socket'],
    action: 'SCMP_ACT_ERRNO',
    errnoRet: EPROTONOSUPPORT,
    ...netlink(NETLINK_AUDIT),
  },
]

const PERSONALITIES: readonly ProfileRule[] = [
  ['PER_LINUX, as every program starts', 0],
  ['PER_LINUX32: uname says i686 (building 32-bit packages)', 0x8],
  ['UNAME26: uname says 2.6 to programs that cannot count further', 0x2_0000],
  ['both of these', 0x2_0008],
  ['only asking', 0xffff_ffff],
].map(([reason, value]) => allow(`personality: ${reason}`, 'personality', when(0, 'EQ', Number(value))))

const NAMESPACES: readonly ProfileRule[] = [
  allow(
    "Threads and processes, without new namespaces: a user namespace opens the kernel's privileged code to anyone",
    'clone',
    { ...when(0, 'MASKED_EQ', NEW_NAMESPACES, 0), excludes: { caps: ['CAP_SYS_ADMIN'] } },
  ),
  {
    reason: 'Its flags lie in memory where a filter cannot look; on ENOSYS C libraries go back to clone',
    names: ['clone3'],
    action: 'SCMP_ACT_ERRNO',
    errnoRet: ENOSYS,
    excludes: { caps: ['CAP_SYS_ADMIN'] },
  },
]

const BY_CAPABILITY: readonly ProfileRule[] = [
  withCap(
    'CAP_SYS_ADMIN',
    'Whoever administers the container: namespaces, mounts, names, quotas, tracing',
    `clone clone3 unshare setns mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig
    fsmount fspick sethostname setdomainname quotactl quotactl_fd fanotify_init lookup_dcookie
    lsm_get_self_attr lsm_set_self_attr lsm_list_modules bpf perf_event_open syslog`,
  ),
  withCap('CAP_BPF', 'Loading BPF programs', 'bpf'),
  withCap('CAP_PERFMON', 'Performance counters', 'perf_event_open'),
  withCap('CAP_SYSLOG', "The kernel's log", 'syslog'),
  withCap(
    'CAP_DAC_READ_SEARCH',
    'Opening files by handle goes past directories: CVE-2014-3519',
    'open_by_handle_at',
  ),
  withCap('CAP_SYS_BOOT', 'In a PID namespace it ends that only', 'reboot'),
  withCap('CAP_SYS_CHROOT', 'Changing the own root', 'chroot'),
  withCap('CAP_SYS_MODULE', 'Kernel modules', 'init_module finit_module delete_module'),
  withCap('CAP_SYS_PACCT', 'Process accounting', 'acct'),
  withCap('CAP_SYS_PTRACE', 'Looking into other processes', 'kcmp pidfd_getfd process_madvise'),
  withCap('CAP_SYS_RAWIO', 'Input and output ports', 'iopl ioperm'),
  withCap(
    'CAP_SYS_TIME',
    'Setting the clock, which has no namespace',
    'settimeofday stime clock_settime clock_settime64',
  ),
  withCap('CAP_SYS_TTY_CONFIG', 'Hanging up a terminal', 'vhangup'),
  withCap(
    'CAP_SYS_NICE',
    'Placing own memory on NUMA nodes',
    `get_mempolicy mbind set_mempolicy set_mempolicy_home_node`,
  ),
]

/** The default policy, conditions on capabilities still open; `resolveProfile` closes them. */
export const DEFAULT_PROFILE: Profile = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: 1,
  archMap: [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
  ],
  syscalls: [...EVERYDAY, ...SOCKETS, ...NETLINK, ...PERSONALITIES, ...NAMESPACES, ...BY_CAPABILITY],
}
