/* A thread beside three hogs, all on one processor, of which it gets the least (SCHED_IDLE). It sleeps shortly until that has taken
 * LONG_MS three times, for so long the thread had no processor; then, once the hogs are gone, for WAIT_MS. */
#define _GNU_SOURCE
#include "hogs.h"
#include <time.h>

enum { LONG_MS = 12, WAIT_MS = 60, TRIES = 20000 };

static long now_us(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

__attribute__((noinline)) static void short_sleep(void)
{
	usleep(100);
}

__attribute__((noinline)) static void long_sleep(void)
{
	usleep(WAIT_MS * 1000);
}

int main(void)
{
	struct sched_param none = { 0 };
	int seen = 0;
	start_hogs();
	if (sched_setscheduler(0, SCHED_IDLE, &none))
		return SKIPPED;
	for (int i = 0; i < TRIES && seen < 3; i++) {
		/* It computes a little, so that its share is used up. */
		for (long begun = now_us(CLOCK_THREAD_CPUTIME_ID); now_us(CLOCK_THREAD_CPUTIME_ID) - begun < 200;)
			;
		long delay = delay_us(), begun = now_us(CLOCK_MONOTONIC);
		short_sleep();
		long took = now_us(CLOCK_MONOTONIC) - begun;
		seen += took >= LONG_MS * 1000 && delay_us() - delay >= took - 1000;
	}
	end_hogs();
	long_sleep();
	return seen == 3 ? 0 : SKIPPED;
}
