/**
 * Numbers of the system calls that probes make: name, x86_64, aarch64; -1 where the architecture has none of the name
 * (Linux 6.18). A table of this room's own, because the audit reaches nothing of the engine; suites/audit compares it
 * with the filter's.
 */
export const SYSTEM_CALLS = `
accept4:288:242 access:21:-1 acct:163:89 add_key:248:217 adjtimex:159:171 arch_prctl:158:-1 bind:49:200
bpf:321:280 brk:12:214 cachestat:451:451 capget:125:90 capset:126:91 chdir:80:49 chroot:161:51
clock_adjtime:305:266 clock_getres:229:114 clock_gettime:228:113 clock_settime:227:112 clone:56:220
clone3:435:435 close:3:57 close_range:436:436 connect:42:203 copy_file_range:326:285 delete_module:176:106
dup:32:23 dup3:292:24 epoll_create1:291:20 epoll_ctl:233:21 epoll_pwait:281:22 eventfd2:290:19 execve:59:221
execveat:322:281 exit:60:93 exit_group:231:94 faccessat:269:48 faccessat2:439:439 fadvise64:221:223 fallocate:285:47
fanotify_init:300:262 fanotify_mark:301:263 fchdir:81:50 fchmod:91:52 fchmodat:268:53 fchown:93:55
fchownat:260:54 fcntl:72:25 fdatasync:75:83 finit_module:313:273 flock:73:32 fork:57:-1 fsconfig:431:431
fsmount:432:432 fsopen:430:430 fspick:433:433 fstatfs:138:44 fsync:74:82 ftruncate:77:46 futex:202:98
get_mempolicy:239:236 getcpu:309:168 getcwd:79:17 getdents64:217:61 getegid:108:177 geteuid:107:175
getgid:104:176 getgroups:115:158 getpid:39:172 getppid:110:173 getpriority:140:141 getrandom:318:278
getrlimit:97:163 getrusage:98:165 getsockname:51:204 getsockopt:55:209 gettid:186:178 gettimeofday:96:169
getuid:102:174 getxattr:191:8 init_module:175:105 inotify_add_watch:254:27 inotify_init1:294:26
io_setup:206:0 io_submit:209:2 io_uring_enter:426:426 io_uring_register:427:427 io_uring_setup:425:425
ioctl:16:29 ioperm:173:-1 iopl:172:-1 ioprio_set:251:30 kcmp:312:272 kexec_file_load:320:294
kexec_load:246:104 keyctl:250:219 kill:62:129 landlock_create_ruleset:444:444 linkat:265:37 listen:50:201
listmount:458:458 listxattr:194:11 lookup_dcookie:212:18 lseek:8:62 lsm_get_self_attr:459:459
lsm_list_modules:461:461 madvise:28:233 map_shadow_stack:453:453 mbind:237:235 membarrier:324:283
memfd_create:319:279 memfd_secret:447:447 migrate_pages:256:238 mincore:27:232 mkdirat:258:34 mknodat:259:33 mlock:149:228
mlock2:325:284 mlockall:151:230 mmap:9:222 modify_ldt:154:-1 mount:165:40 mount_setattr:442:442
move_mount:429:429 move_pages:279:239 mprotect:10:226 mq_open:240:180 mq_timedreceive:243:183
mq_timedsend:242:182 mq_unlink:241:181 msgget:68:186 munmap:11:215 name_to_handle_at:303:264
nanosleep:35:101 newfstatat:262:79 nfsservctl:180:42 open:2:-1 open_by_handle_at:304:265 open_tree:428:428
openat:257:56 openat2:437:437 perf_event_open:298:241 personality:135:92 pidfd_getfd:438:438
pidfd_open:434:434 pidfd_send_signal:424:424 pipe2:293:59 pivot_root:155:41 poll:7:-1 prctl:157:167
pread64:17:67 prlimit64:302:261 process_madvise:440:440 process_vm_readv:310:270 process_vm_writev:311:271
ptrace:101:117 quotactl:179:60 quotactl_fd:443:443 read:0:63 readahead:187:213 readlinkat:267:78
reboot:169:142 recvfrom:45:207 recvmsg:47:212 rename:82:-1 renameat2:316:276 request_key:249:218
rseq:334:293 rt_sigaction:13:134 rt_sigprocmask:14:135 sched_getaffinity:204:123 sched_setaffinity:203:122
sched_setattr:314:274 sched_setscheduler:144:119 sched_yield:24:124 seccomp:317:277 semget:64:190
sendmsg:46:211 sendto:44:206 set_mempolicy:238:237 setdomainname:171:162 setgid:106:144 setgroups:116:159
sethostname:170:161 setns:308:268 setpgid:109:154 setpriority:141:140 setresgid:119:149 setresuid:117:147
setreuid:113:145 setrlimit:160:164 setsid:112:157 setsockopt:54:208 settimeofday:164:170 setuid:105:146
setxattr:188:5 shmat:30:196 shmctl:31:195 shmdt:67:197 shmget:29:194 shutdown:48:210 sigaltstack:131:132
signalfd4:289:74 socket:41:198 socketpair:53:199 splice:275:76 statfs:137:43 statmount:457:457 statx:332:291
swapoff:168:225 swapon:167:224 symlinkat:266:36 sync:162:81 syncfs:306:267 sysinfo:99:179 syslog:103:116
tee:276:77 tgkill:234:131 timer_create:222:107 timerfd_create:283:85 times:100:153 truncate:76:45
umask:95:166 umount2:166:39 uname:63:160 unlinkat:263:35 unshare:272:97 userfaultfd:323:282 utimensat:280:88
vfork:58:-1 vhangup:153:58 vmsplice:278:75 wait4:61:260 write:1:64
`

/** As uname(2) names them, in the order of the columns. */
const MACHINES = ['x86_64', 'aarch64']

const table = new Map(
  SYSTEM_CALLS.trim()
    .split(/\s+/)
    .map((row): [string, readonly number[]] => {
      const [name = '', ...numbers] = row.split(':')
      return [name, numbers.map(Number)]
    }),
)

/** undefined when the machine or the name is unknown, or the machine has no such call. */
export function systemCall(machine: string, name: string): number | undefined {
  const number = table.get(name)?.[MACHINES.indexOf(machine)]
  return number === undefined || number < 0 ? undefined : number
}

export function systemCallNames(): readonly string[] {
  return [...table.keys()]
}
