/* bench.h: what every program under benches/ shares.
 *
 * Each is an ordinary pthread program that takes its counts as arguments and prints `key value` lines; run.py reads them.
 * Here are the clocks, the arguments, the one way to print a figure, the one way to give up, and the gate: the place where
 * all threads stand blocked before anything is measured.
 *
 * Include it first: it asks for _GNU_SOURCE.
 */
#ifndef BENCH_H
#define BENCH_H

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Ends the program when a pthread call answered an error number. */
static inline void check(int error, const char *what)
{
	if (error != 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(error));
		exit(1);
	}
}

/* The same for calls that answer a negative number and set errno; passes other results through. */
static inline int must(int result, const char *what)
{
	check(result < 0 ? errno : 0, what);
	return result;
}

/* The argument at `index`, a positive number; `otherwise` when there are fewer arguments. */
static inline long count_argument(int argc, char **argv, int index, long otherwise)
{
	if (index >= argc)
		return otherwise;
	char *end;
	long count = strtol(argv[index], &end, 10);
	check(*end != '\0' || count < 1 ? EINVAL : 0, argv[index]);
	return count;
}

static inline void print_figure(const char *key, double value)
{
	printf("%s %.2f\n", key, value);
}

static inline double clock_ns(clockid_t clock)
{
	struct timespec now;
	must(clock_gettime(clock, &now), "clock_gettime");
	return now.tv_sec * 1e9 + now.tv_nsec;
}

static inline double wall_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* What all threads of the process have used of all processors, user and system. */
static inline double cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* Room for as many descriptors as the hard limit gives. */
static inline void raise_descriptor_limit(void)
{
	struct rlimit limit;
	must(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

static inline pthread_t start_thread(void *(*body)(void *), void *argument)
{
	pthread_t thread;
	check(pthread_create(&thread, NULL, body, argument), "pthread_create");
	return thread;
}

static inline void join_thread(pthread_t thread)
{
	check(pthread_join(thread, NULL), "pthread_join");
}

/* Threads pass the gate once it is open. Whoever opens it can first await that a number of them stand before it: since each
 * arrives under the mutex that its wait gives back, they are then all blocked.
 */
struct gate {
	pthread_mutex_t mutex;
	pthread_cond_t arrived, opened;
	long waiting, awaited;
	int open;
};

#define GATE_CLOSED { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0 }

/* Counts the caller, who holds the mutex. Only the last one awaited wakes whoever awaits: a wake-up each would be measured. */
static inline void gate_arrive(struct gate *gate)
{
	if (++gate->waiting == gate->awaited)
		pthread_cond_signal(&gate->arrived);
}

static inline void gate_pass(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	gate_arrive(gate);
	while (!gate->open)
		pthread_cond_wait(&gate->opened, &gate->mutex);
	pthread_mutex_unlock(&gate->mutex);
}

static inline void gate_await(struct gate *gate, long threads)
{
	pthread_mutex_lock(&gate->mutex);
	gate->awaited = threads;
	while (gate->waiting < threads)
		pthread_cond_wait(&gate->arrived, &gate->mutex);
	pthread_mutex_unlock(&gate->mutex);
}

static inline void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	gate->open = 1;
	pthread_cond_broadcast(&gate->opened);
	pthread_mutex_unlock(&gate->mutex);
}

#endif
