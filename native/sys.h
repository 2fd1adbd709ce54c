/* One wrapper per raw system call that musl does not offer. Each fails with errno, ENOSYS on old kernels. */
#ifndef DEWAR_SYS_H
#define DEWAR_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYSTEM_CALL(name, ...) syscall(SYS_##name, __VA_ARGS__)
#define sys_clone3(args) SYSTEM_CALL(clone3, args, sizeof *(args))
#define sys_openat2(dir, path, how) SYSTEM_CALL(openat2, dir, path, how, sizeof *(how))
#define sys_fsopen(type) SYSTEM_CALL(fsopen, type, 1 /* FSOPEN_CLOEXEC */)
#define sys_fsconfig(fs, command, key, value, aux) SYSTEM_CALL(fsconfig, fs, command, key, value, aux)
#define sys_fsmount(fs, attrs) SYSTEM_CALL(fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, attrs)
#define clone_tree(at, flags)                                                                                          \
	SYSTEM_CALL(open_tree, at, "", (flags) | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)
#define move_onto(mount, target)                                                                                       \
	SYSTEM_CALL(move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
#define sys_mount_setattr(dir, path, flags, attr) SYSTEM_CALL(mount_setattr, dir, path, flags, attr, sizeof *(attr))
#define sys_pivot_root(new_root, put_old) SYSTEM_CALL(pivot_root, new_root, put_old)
#define sys_close_range(first, last, flags) SYSTEM_CALL(close_range, first, last, flags)
#define sys_pidfd_open(pid) SYSTEM_CALL(pidfd_open, pid, 0)
#define sys_pidfd_send_signal(fd, sig) SYSTEM_CALL(pidfd_send_signal, fd, sig, NULL, 0)
#define sys_execveat(fd, argv, envp) SYSTEM_CALL(execveat, fd, "", argv, envp, AT_EMPTY_PATH)
#define sys_capset(header, data) SYSTEM_CALL(capset, header, data)
#define sys_capget(header, data) SYSTEM_CALL(capget, header, data)
#define sys_seccomp(op, flags, args) SYSTEM_CALL(seccomp, op, flags, args)
#define sys_bpf(command, attr) SYSTEM_CALL(bpf, command, attr, sizeof *(attr))

#endif
