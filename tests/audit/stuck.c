/* Threads that wait for ever, and then an end. The first word: abba (two threads lock two mutexes crosswise), cond (a condition that is
   signalled by none), join (a thread waits for the end of one that waits in recv), self (a thread locks its mutex twice). The second: how
   it ends: exit (in order, once SIGUSR1 has come), wait (never). Says its port. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t both;
static int client;

__attribute__((noinline)) static void crosswise(pthread_mutex_t *first, pthread_mutex_t *second)
{
	pthread_mutex_lock(first);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(second);
	pthread_mutex_unlock(second);
	pthread_mutex_unlock(first);
}

static void *there(void *argument)
{
	pthread_setname_np(pthread_self(), "there");
	crosswise(&other, &one);
	return argument;
}

static void *here(void *argument)
{
	pthread_setname_np(pthread_self(), "here");
	crosswise(&one, &other);
	return argument;
}

static void *waits_for_signal(void *argument)
{
	pthread_setname_np(pthread_self(), "unsignalled");
	pthread_mutex_lock(&one);
	for (;;)
		pthread_cond_wait(&cond, &one);
	return argument;
}

static void *receives(void *argument)
{
	char byte;
	pthread_setname_np(pthread_self(), "receives");
	if (recv(client, &byte, 1, 0) != 1)
		abort();
	return argument;
}

static void *joins(void *argument)
{
	pthread_setname_np(pthread_self(), "joins");
	pthread_join(*(pthread_t *)argument, NULL);
	return argument;
}

static void *twice(void *argument)
{
	pthread_setname_np(pthread_self(), "twice");
	pthread_mutex_lock(&one);
	pthread_mutex_lock(&one);
	return argument;
}

int main(int count, char **words)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof address;
	int server = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t first, second;
	sigset_t end;
	int number;
	client = socket(AF_INET, SOCK_STREAM, 0);
	if (count < 3 || bind(server, (struct sockaddr *)&address, length) || listen(server, 1)
	    || getsockname(server, (struct sockaddr *)&address, &length) || connect(client, (struct sockaddr *)&address, length)
	    || pthread_barrier_init(&both, NULL, 2))
		return 2;
	sigemptyset(&end);
	sigaddset(&end, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	if (!strcmp(words[1], "abba")) {
		pthread_create(&first, NULL, here, NULL);
		pthread_create(&second, NULL, there, NULL);
	} else if (!strcmp(words[1], "cond")) {
		pthread_create(&first, NULL, waits_for_signal, NULL);
	} else if (!strcmp(words[1], "join")) {
		pthread_create(&first, NULL, receives, NULL);
		pthread_create(&second, NULL, joins, &first);
	} else if (!strcmp(words[1], "self")) {
		pthread_create(&first, NULL, twice, NULL);
	}
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	if (!strcmp(words[2], "exit"))
		sigwait(&end, &number);
	else
		pause();
	return 3;
}
