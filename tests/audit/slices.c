/* Short waits that add up: a library (libslices, made of this file, too) that waits in slices, called in a loop's turn and outside of
 * one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* A thread may lose its processor between its look at the clock and its wait until then: LONG_MS is more than the 40 ms that are told. */
enum { SLICES = 12, SHORT_US = 5000, LONG_MS = 45, WORK_MS = 60 };

void library_sleeps(void);
void library_waits(void);
void library_rests(void);

#ifdef LIBRARY
void library_sleeps(void)
{
	for (int i = 0; i < SLICES; i++)
		usleep(SHORT_US);
}

/* As librdkafka does: for a condition, a slice at a time, each longer than the threshold. */
void library_waits(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	pthread_mutex_lock(&mutex);
	for (int i = 0; i < SLICES; i++) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LONG_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_cond_timedwait(&cond, &mutex, &until) != ETIMEDOUT)
			abort();
	}
	pthread_mutex_unlock(&mutex);
}
/* Computes between its waits for longer than it waits. */
void library_rests(void)
{
	for (int i = 0; i < SLICES; i++) {
		struct timespec now, begun;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
		do
			clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
		while ((now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000 < WORK_MS);
		usleep(SHORT_US);
	}
}
#else

static int wake_up, zeros;
static char room[1 << 20];

__attribute__((noinline)) static void handler_sleeps(void)
{
	for (int i = 0; i < SLICES; i++)
		usleep(SHORT_US);
}

/* Computes in the kernel: no slice of it sleeps. */
__attribute__((noinline)) static void handler_reads(void)
{
	struct timespec now, begun;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
	do {
		if (read(zeros, room, sizeof room) != sizeof room)
			abort();
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	} while ((now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000 < 80);
}

static void turns(int count)
{
	static int loop = -1;
	struct epoll_event event = { .events = EPOLLIN };
	if (loop < 0) {
		loop = epoll_create1(0);
		epoll_ctl(loop, EPOLL_CTL_ADD, wake_up, &event);
	}
	while (count-- > 0)
		if (epoll_wait(loop, &event, 1, 1) > 0)
			abort();
}

int main(int count, char **arguments)
{
	wake_up = eventfd(0, EFD_NONBLOCK);
	zeros = open("/dev/zero", O_RDONLY);
	if (count > 1 && !strcmp(arguments[1], "plain")) {
		library_sleeps();
		library_rests();
		handler_sleeps();
		handler_reads();
		library_waits();
		return 0;
	}
	for (int i = 0; i < 20; i++) {
		turns(1);
		if (i == 10)
			library_sleeps();
		if (i == 12)
			library_waits();
		if (i == 14 || i == 16)
			handler_sleeps();
		if (i == 18)
			handler_reads();
		if (i == 19)
			/* Of two turns, each too short. */
			for (int again = 0; again < 2; again++) {
				usleep(SHORT_US);
				turns(1);
			}
	}
	return 0;
}
#endif
