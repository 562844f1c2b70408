/* Waits of every kind, WAIT_MS each, one after another; some inside a library (libwaits, made of this file, too). Says its port.
 *
 * Whatever the machine does meanwhile, they take so long: who is waited for begins its own WAIT_MS once the other one sleeps, and a moment
 * is MOMENT_MS away, for the thread may lose its processor before it waits. */
#define _GNU_SOURCE
#include "sleeps.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 60, MOMENT_MS = 500 };

void library_polls(int fd);

#ifdef LIBRARY
__attribute__((noinline)) static int deep_down(int fd)
{
	struct pollfd one = { fd, POLLIN, 0 };
	return poll(&one, 1, WAIT_MS);
}

void library_polls(int fd)
{
	if (deep_down(fd) != 0)
		abort();
}
#else

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static int locked;

static struct timespec in_a_while(clockid_t clock)
{
	struct timespec moment;
	clock_gettime(clock, &moment);
	moment.tv_nsec += MOMENT_MS * 1000000L;
	moment.tv_sec += moment.tv_nsec / 1000000000;
	moment.tv_nsec %= 1000000000;
	return moment;
}

static void *holds(void *argument)
{
	pthread_mutex_lock(&mutex);
	flock(locked, LOCK_EX);
	sem_post(&semaphore);
	until_it_sleeps(getpid());
	usleep(WAIT_MS * 1000);
	pthread_mutex_unlock(&mutex);
	until_it_sleeps(getpid());
	usleep(WAIT_MS * 1000);
	flock(locked, LOCK_UN);
	return argument;
}

int main(void)
{
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), ends[2];
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof address;
	char byte, name[] = "lockedXXXXXX", line[16];
	if (bind(server, (struct sockaddr *)&address, length) || listen(server, 1) || getsockname(server, (struct sockaddr *)&address, &length)
	    || connect(client, (struct sockaddr *)&address, length) || pipe(ends) || sem_init(&semaphore, 0, 0))
		return 2;
	printf("%d\n", ntohs(address.sin_port));
	struct timeval limit = { 0, WAIT_MS * 1000 };
	setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (recv(client, &byte, 1, 0) != -1 || errno != EAGAIN)
		return 3;
	library_polls(client);
	fd_set set;
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	limit = (struct timeval){ 0, WAIT_MS * 1000 };
	if (select(ends[0] + 1, &set, NULL, NULL, &limit) != 0)
		return 4;
	struct timespec moment = in_a_while(CLOCK_REALTIME);
	pthread_mutex_lock(&mutex);
	if (pthread_cond_timedwait(&cond, &mutex, &moment) != ETIMEDOUT)
		return 5;
	pthread_mutex_unlock(&mutex);
	moment = in_a_while(CLOCK_REALTIME);
	if (sem_timedwait(&semaphore, &moment) != -1 || errno != ETIMEDOUT)
		return 6;
	locked = mkstemp(name);
	int own = open(name, O_RDWR);
	pthread_t thread;
	pthread_create(&thread, NULL, holds, NULL);
	sem_wait(&semaphore);
	pthread_mutex_lock(&mutex);
	flock(own, LOCK_EX);
	pthread_join(thread, NULL);
	unlink(name);
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		until_it_sleeps(parent);
		usleep(WAIT_MS * 1000);
		dprintf(ends[1], "line\n");
		until_it_sleeps(parent);
		usleep(WAIT_MS * 1000);
		_exit(0);
	}
	FILE *stream = fdopen(ends[0], "r");
	if (!fgets(line, sizeof line, stream) || waitpid(child, NULL, 0) != child)
		return 7;
	usleep(WAIT_MS * 1000);
	return 0;
}
#endif
