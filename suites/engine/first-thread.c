/* First process of a container whose first thread ends alone, by pthread_exit(3): it looks like a zombie, and goes on. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *go_on(void *nothing) {
	(void)nothing;
	while (usleep(10000) == 0) {
		puts("on");
		fflush(stdout);
	}
	return NULL;
}

int main(void) {
	pthread_t other;
	if (pthread_create(&other, NULL, go_on, NULL)) return 1;
	pthread_exit(NULL);
}
