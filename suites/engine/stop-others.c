/* First process of a container that stops every other one as it comes, also on its way to its program; SIGUSR1 ends that. */
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t enough;

static void stop(int sig) {
	(void)sig;
	enough = 1;
}

int main(void) {
	signal(SIGUSR1, stop);
	/* By all numbers that are likely: to look into /proc would take longer than a process is on its way. */
	while (!enough)
		for (pid_t pid = 2; pid < 200; pid++) kill(pid, SIGSTOP);
	for (;;) pause();
}
