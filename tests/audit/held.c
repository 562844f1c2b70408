/* A mutex that is held for HELD_MS from when another thread waits for it: plain, recursive, robust, inheriting priority; by C11's names.
   Beside it a mutex for which two threads contend for a short while, again and again. */
#define _GNU_SOURCE
#include "sleeps.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>
#include <unistd.h>

enum { HELD_MS = 60 };

static pthread_mutex_t mutex;
static mtx_t other;
static pthread_barrier_t both;

__attribute__((noinline)) static void lets_go(void)
{
	pthread_mutex_unlock(&mutex);
	__asm__ volatile("");
}

static void *holds(void *argument)
{
	pthread_setname_np(pthread_self(), "holder");
	pthread_mutex_lock(&mutex);
	pthread_barrier_wait(&both);
	until_it_sleeps(getpid());
	usleep(HELD_MS * 1000);
	lets_go();
	return argument;
}

static int holds_other(void *argument)
{
	mtx_lock(&other);
	pthread_barrier_wait(&both);
	until_it_sleeps(getpid());
	usleep(HELD_MS * 1000);
	mtx_unlock(&other);
	return argument != NULL;
}

__attribute__((noinline)) static void waits(const char *kind)
{
	pthread_t thread;
	pthread_create(&thread, NULL, holds, NULL);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	puts(kind);
}

int main(void)
{
	pthread_mutexattr_t attribute;
	pthread_mutexattr_init(&attribute);
	pthread_barrier_init(&both, NULL, 2);
	pthread_mutex_init(&mutex, &attribute);
	waits("plain");
	pthread_mutexattr_settype(&attribute, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&mutex, &attribute);
	waits("recursive");
	pthread_mutexattr_setrobust(&attribute, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&mutex, &attribute);
	waits("robust");
	pthread_mutexattr_setrobust(&attribute, PTHREAD_MUTEX_STALLED);
	if (pthread_mutexattr_setprotocol(&attribute, PTHREAD_PRIO_INHERIT) == 0 && pthread_mutex_init(&mutex, &attribute) == 0)
		waits("inheriting");
	thrd_t thread;
	mtx_init(&other, mtx_plain);
	thrd_create(&thread, holds_other, NULL);
	pthread_barrier_wait(&both);
	mtx_lock(&other);
	mtx_unlock(&other);
	thrd_join(thread, NULL);
	puts("C11");
	return 0;
}
