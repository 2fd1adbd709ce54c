/* Steps that talk to the kernel's network and BPF sides. The messages are built in TypeScript. */
#include "dewar.h"
#include <linux/bpf.h>
#include <linux/netlink.h>

#define ANSWER_SECONDS 5
#define RESERVED_MAX 65536

static int ignored(const struct step *s, int err) {
	for (uint64_t i = 4 + s->num[3]; i < s->nnum; i++)
		if ((int)s->num[i] == err) return 1;
	return 0;
}

static char answer[65536] __attribute__((aligned(8)));

/* Reads answers until all that are awaited came: 0, or the first error that is not ignored. */
static int answers(struct run *r, const struct step *s, int sock) {
	for (uint64_t count = s->num[2]; count > 0;) {
		ssize_t n = recv(sock, answer, sizeof answer, 0);
		if (n < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
		if (s->num[1] && send_frame(r->conn, 'D', answer, (size_t)n)) return errno;
		for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n)) {
			count -= count && (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR);
			int err = h->nlmsg_type == NLMSG_ERROR ? -((struct nlmsgerr *)NLMSG_DATA(h))->error : 0;
			if (err && !ignored(s, err)) return err;
		}
	}
	return 0;
}

/* Sockets of the host's network namespace are kept until the process ends: closing one of nf_tables waits out a grace
 * period of 13 ms. The guest has a namespace of its own and so a socket of its own. */
static int *netlink_socket(const struct step *s) {
	static int kept[MAX_LINKS], guests;
	int *sock = s->actor != GUEST && s->num[0] < MAX_LINKS ? &kept[s->num[0]] : &guests, big = 1 << 20;
	if (*sock > 0) return sock;
	*sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int)s->num[0]);
	setsockopt(*sock, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ANSWER_SECONDS, 0}, sizeof(struct timeval));
	setsockopt(*sock, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
	setsockopt(*sock, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
	return sock;
}

STEP(do_netlink) {
	uint32_t len = s->str[0].len, pid = (uint32_t)r->child;
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	int *sock = netlink_socket(s), err = 0;
	for (uint64_t i = 0; i < NUM(3); i++) memcpy(STR(0) + NUM(4 + i), &pid, 4);
	/* Answers that an earlier step left, by an error or beyond what it awaited, are not this one's. */
	while (recv(*sock, answer, sizeof answer, MSG_DONTWAIT) > 0) {}
	err = sendto(*sock, STR(0), len, 0, (void *)&to, sizeof to) < 0 ? errno : answers(r, s, *sock);
	if (s->actor == GUEST) close_fd(sock);
	errno = err;
	return RESULT(!err, "netlink");
}

/* Sockets that keep published ports, as long as the container lives. */
static int reserved[RESERVED_MAX], reserved_count;

/* What kind of socket, which option (with its level), and whether to listen: src/kernel/encode-network.ts. */
STEP(do_reserve_port) {
	if (reserved_count == RESERVED_MAX) return refuse(EMFILE), fail(&r->f, "port %u", (unsigned)NUM(3));
	autoclose int fd = socket((int)NUM(0), (int)NUM(1) | SOCK_CLOEXEC, (int)NUM(2));
	if (NUM(4) != NONE) setsockopt(fd, (int)NUM(4), (int)NUM(5), &(int){1}, sizeof(int));
	if (fd < 0 || bind(fd, (void *)STR(0), s->str[0].len) || (NUM(6) && listen(fd, 0)))
		return fail(&r->f, "port %u", (unsigned)NUM(3));
	if (s->str[1].len) {
		/* Node.js acknowledges each socket; nobody waits for that. */
		while (recv(CHANNEL, answer, sizeof answer, MSG_DONTWAIT) > 0) {}
		return RESULT(!send_with(CHANNEL, STR(1), s->str[1].len, fd), "handing a socket over");
	}
	return reserved[reserved_count++] = fd, fd = -1, 0;
}

void release_ports(void) {
	while (reserved_count) close(reserved[--reserved_count]);
}

STEP(do_device_program) {
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
			       .insns = (uint64_t)(uintptr_t)&NUM(1),
			       .insn_cnt = s->nnum - 1u,
			       .license = (uint64_t)(uintptr_t) "Apache-2.0"};
	autoclose int prog = sys_bpf(BPF_PROG_LOAD, &load);
	if (prog < 0) return fail(&r->f, "loading the device program");
	union bpf_attr attach = {.target_fd = (uint32_t)SLOT(NUM(0)),
				 .attach_bpf_fd = (uint32_t)prog,
				 .attach_type = BPF_CGROUP_DEVICE,
				 .attach_flags = BPF_F_ALLOW_MULTI};
	return RESULT(!sys_bpf(BPF_PROG_ATTACH, &attach), "attaching the device program");
}
