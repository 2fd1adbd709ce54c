/* Loads a BPF_PROG_TYPE_CGROUP_DEVICE program and attaches it to a cgroup2 directory, as the native core does.
 *
 *   attach-device-program FILE DIRECTORY     On refusal prints the verifier's words and ends with 1. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t code[4096];
static char words[1 << 16];

int main(int argc, char **argv)
{
	union bpf_attr load, attach;
	memset(&load, 0, sizeof load);
	memset(&attach, 0, sizeof attach);
	if (argc != 3)
		return 98;
	int file = open(argv[1], O_RDONLY), dir = open(argv[2], O_RDONLY | O_DIRECTORY);
	ssize_t n = read(file, code, sizeof code);
	if (file < 0 || dir < 0 || n <= 0)
		return perror("opening"), 99;
	load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	load.insns = (uint64_t)(uintptr_t)code;
	load.insn_cnt = (uint32_t)n / 8;
	load.license = (uint64_t)(uintptr_t) "Apache-2.0";
	load.log_buf = (uint64_t)(uintptr_t)words;
	load.log_size = sizeof words;
	load.log_level = 1;
	int prog = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
	if (prog < 0)
		return perror("loading"), fputs(words, stderr), 1;
	attach.target_fd = (uint32_t)dir;
	attach.attach_bpf_fd = (uint32_t)prog;
	attach.attach_type = BPF_CGROUP_DEVICE;
	attach.attach_flags = BPF_F_ALLOW_MULTI;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach))
		return perror("attaching"), 2;
	return 0;
}
