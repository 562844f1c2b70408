/* Hogs: children that use up the one processor that they share with the program; and how long a thread had none. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HOGS = 3, SKIPPED = 77 };

static pid_t hogs[HOGS];

/* How long the thread had no processor; -1: the kernel does not say. */
static long delay_us(void)
{
	long long computed, delay = -1;
	char text[64] = "";
	int file = open("/proc/thread-self/schedstat", O_RDONLY);
	if (file < 0 || read(file, text, sizeof text - 1) < 0 || sscanf(text, "%lld %lld", &computed, &delay) != 2)
		return -1;
	close(file);
	return delay / 1000;
}

/* Starts the hogs, on the first processor that the program may use, which is its only one from now on. Ends the program with SKIPPED where
 * that cannot be, or where the kernel does not tell delays. */
static void start_hogs(void)
{
	cpu_set_t all, one;
	pid_t parent = getpid();
	int first = 0;
	if (delay_us() < 0 || sched_getaffinity(0, sizeof all, &all))
		exit(SKIPPED);
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	if (sched_setaffinity(0, sizeof one, &one))
		exit(SKIPPED);
	for (int i = 0; i < HOGS; i++) {
		hogs[i] = fork();
		if (hogs[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(1);
			for (;;)
				;
		}
	}
}

/* Ends the hogs; one that is not to be had ends the program with 2. */
static void end_hogs(void)
{
	for (int i = 0; i < HOGS; i++) {
		kill(hogs[i], SIGKILL);
		if (waitpid(hogs[i], NULL, 0) != hogs[i])
			exit(2);
	}
}
