/* Steps that talk to the kernel's network and BPF sides. The messages are built in TypeScript. */
#include "sys.h"
#include "steps.h"
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ANSWER_SECONDS 5
#define RESERVED_MAX 65536

/* How many acknowledgements (or ends of a dump) the messages in data ask for. */
static int awaited(const char *data, uint32_t len)
{
	int count = 0;
	struct nlmsghdr h;
	for (uint32_t at = 0; at + sizeof h <= len; at += NLMSG_ALIGN(h.nlmsg_len)) {
		memcpy(&h, data + at, sizeof h);
		if (h.nlmsg_len < sizeof h)
			break;
		if (h.nlmsg_flags & NLM_F_ACK || (h.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
			count++;
	}
	return count;
}

static int ignored(const struct step *s, int err)
{
	for (uint64_t i = 3 + s->num[2]; i < s->nnum; i++)
		if ((int)s->num[i] == err)
			return 1;
	return 0;
}

/* Reads answers until all awaited ones came. The first error that is not ignored ends it. */
static int answers(struct run *r, const struct step *s, int sock, int count, struct failure *f)
{
	static char buf[65536] __attribute__((aligned(8)));
	while (count > 0) {
		ssize_t n = recv(sock, buf, sizeof buf, 0);
		if (n < 0) {
			if (errno == EAGAIN)
				errno = ETIMEDOUT;
			return fail(f, "netlink");
		}
		if (s->num[1] && send_frame(r->conn, 'D', buf, (size_t)n))
			return fail(f, "netlink answer");
		for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE)
				count--;
			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			int err = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
			count--;
			if (err && !ignored(s, err)) {
				errno = err;
				return fail(f, "netlink");
			}
		}
	}
	return 0;
}

/* Sockets of the host's network namespace, kept until the process ends: closing one of nf_tables waits out a grace
 * period of 13 ms. The guest has a namespace of its own and so sockets of its own. */
static int host_sockets[MAX_LINKS];

static int netlink_socket(const struct step *s)
{
	int *kept = s->actor != GUEST && s->num[0] < MAX_LINKS ? &host_sockets[s->num[0]] : NULL;
	if (kept && *kept > 0)
		return *kept;
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int)s->num[0]);
	if (kept)
		*kept = sock;
	return sock;
}

int do_netlink(struct run *r, const struct step *s, struct failure *f)
{
	uint32_t len = s->str[0].len, pid = (uint32_t)r->child;
	char *data = malloc(len + 1);
	int sock = netlink_socket(s), rc = -1;
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	struct timeval limit = {ANSWER_SECONDS, 0};
	int big = 1 << 20;
	if (!data || sock < 0) {
		fail(f, "netlink socket");
		goto out;
	}
	memcpy(data, s->str[0].s, len);
	for (uint64_t i = 0; i < s->num[2]; i++)
		memcpy(data + s->num[3 + i], &pid, 4);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
	setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
	if (sendto(sock, data, len, 0, (void *)&to, sizeof to) < 0)
		fail(f, "netlink");
	else
		rc = answers(r, s, sock, awaited(data, len), f);
out:
	free(data);
	if (sock >= 0 && s->actor == GUEST)
		close(sock);
	return rc;
}

/* Sockets that keep published ports, as long as the container lives. */
static int reserved[RESERVED_MAX];
static int reserved_count;

/* IPv4 ports listen: every connection to them is redirected before it could get here, and SO_REUSEADDR, which
 * closed connections (TIME_WAIT) make necessary, only excludes others from a port that listens. IPv6 ports are
 * only bound, since [::1] cannot be redirected: a client there shall be refused and go on to 127.0.0.1. */
int do_reserve_port(struct run *r, const struct step *s, struct failure *f)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	static const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->num[1])};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)s->num[1])};
	int v6 = s->str[0].len == 16, on = 1;
	(void)r;
	if (reserved_count == RESERVED_MAX || s->num[0] > 2 || (!v6 && s->str[0].len != 4)) {
		errno = EINVAL;
		return fail(f, "port %u", (unsigned)s->num[1]);
	}
	memcpy(v6 ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr, s->str[0].s, s->str[0].len);
	int fd = socket(v6 ? AF_INET6 : AF_INET, types[s->num[0]] | SOCK_CLOEXEC, protocols[s->num[0]]);
	int tcp4 = !v6 && s->num[0] == 0;
	if (fd >= 0 && tcp4)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd >= 0 && v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (fd < 0 || bind(fd, v6 ? (void *)&a6 : (void *)&a4, v6 ? sizeof a6 : sizeof a4) || (tcp4 && listen(fd, 0))) {
		fail(f, "port %u", (unsigned)s->num[1]);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (reserved_count < RESERVED_MAX)
		reserved[reserved_count++] = fd;
	return 0;
}

/* The container has ended: the next one may have its ports before this process is gone. */
void release_ports(void)
{
	while (reserved_count)
		close(reserved[--reserved_count]);
}

int do_device_program(struct run *r, const struct step *s, struct failure *f)
{
	union bpf_attr load, attach;
	uint64_t *code = malloc(s->str[0].len + 8); /* aligned for the kernel */
	int cgroup = s->num[0] < SLOTS ? r->slot[s->num[0]] : -1;
	memset(&load, 0, sizeof load);
	memset(&attach, 0, sizeof attach);
	if (!code)
		return fail(f, "device program");
	memcpy(code, s->str[0].s, s->str[0].len);
	load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	load.insns = (uint64_t)(uintptr_t)code;
	load.insn_cnt = s->str[0].len / 8;
	load.license = (uint64_t)(uintptr_t) "Apache-2.0";
	int prog = sys_bpf(BPF_PROG_LOAD, &load, sizeof load), rc = -1;
	free(code);
	if (prog < 0)
		return fail(f, "loading the device program");
	attach.target_fd = (uint32_t)cgroup;
	attach.attach_bpf_fd = (uint32_t)prog;
	attach.attach_type = BPF_CGROUP_DEVICE;
	attach.attach_flags = BPF_F_ALLOW_MULTI;
	rc = sys_bpf(BPF_PROG_ATTACH, &attach, sizeof attach) ? fail(f, "attaching the device program") : 0;
	close(prog);
	return rc;
}
