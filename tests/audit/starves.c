/* A thread's waits for another one, all on one processor beside three hogs: HELD times for a mutex that the other holds while it sleeps for
 * HELD_MS; or ("starves"), while the other thread has the least of the processor (SCHED_IDLE), for a semaphore's post that follows at
 * once upon its own, once that thread sleeps. Ends with 77 where that thread never lacked the processor for LONG_MS, and with 78 where a
 * thread lost its processor on the way from its wait to its post, and not in a wait. */
#define _GNU_SOURCE
#include "hogs.h"
#include "sleeps.h"
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/resource.h>

enum { HELD = 5, HELD_MS = 50, LONG_MS = 60, TRIES = 2000, PREEMPTED = 78 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sem_t taken, asked, answered;
static long lacked_us;
static _Atomic int preempted, over;
static _Atomic pid_t answerer;

/* How many times the thread has lost its processor to another. */
static long losses(void)
{
	struct rusage usage;
	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

static void *holds(void *argument)
{
	for (int i = 0; i < HELD; i++) {
		pthread_mutex_lock(&mutex);
		sem_post(&taken);
		/* HELD_MS from when the other thread waits, which may come to that late. */
		until_it_sleeps(getpid());
		usleep(HELD_MS * 1000);
		pthread_mutex_unlock(&mutex);
		sem_wait(&asked);
	}
	return argument;
}

static void *answers(void *argument)
{
	struct sched_param none = { 0 };
	pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
	answerer = gettid();
	for (;;) {
		long before = delay_us(), lost = losses();
		sem_wait(&asked);
		if (over)
			return argument;
		lacked_us = delay_us() - before;
		sem_post(&answered); /* The waiter takes the processor at once. */
		preempted += losses() - lost > 1;
	}
}

__attribute__((noinline)) static void waits_for_holder(void)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
}

__attribute__((noinline)) static void waits_for_starved(void)
{
	sem_wait(&answered);
}

int main(int count, char **words)
{
	pthread_t thread;
	int seen = 0, starves = count > 1 && strcmp(words[1], "starves") == 0;
	start_hogs();
	sem_init(&taken, 0, 0);
	sem_init(&asked, 0, 0);
	sem_init(&answered, 0, 0);
	pthread_create(&thread, NULL, starves ? answers : holds, NULL);
	if (!starves)
		for (int i = 0; i < HELD; i++) {
			sem_wait(&taken);
			waits_for_holder();
			sem_post(&asked);
		}
	/* From before a wait on: behind it, too, the thread may lose its processor while the other one waits for it. */
	long lost = losses();
	for (int i = 0; starves && !over; i++) {
		do
			usleep(1000);
		while (!answerer || !sleeps(getpid(), answerer));
		over = seen == 3 || i == TRIES;
		sem_post(&asked);
		long now = losses();
		preempted += now > lost;
		lost = now;
		if (over)
			break;
		waits_for_starved();
		seen += lacked_us >= LONG_MS * 1000;
	}
	/* No thread waits any more: the hogs' ends may take their time. */
	end_hogs();
	pthread_join(thread, NULL);
	return starves && seen < 3 ? SKIPPED : preempted ? PREEMPTED : 0;
}
