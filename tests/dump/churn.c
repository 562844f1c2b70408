/* Threads that come and go, wait and go on, until the input ends. */
#include <pthread.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile int ends;

static void *brief(void *argument)
{
	pthread_mutex_lock(&mutex);
	usleep(100);
	pthread_mutex_unlock(&mutex);
	return argument;
}

static void *maker(void *argument)
{
	while (!ends) {
		pthread_t threads[8];
		for (int i = 0; i < 8; i++)
			if (pthread_create(&threads[i], NULL, brief, NULL))
				_exit(1);
		for (int i = 0; i < 8; i++)
			pthread_join(threads[i], NULL);
	}
	return argument;
}

int main(void)
{
	pthread_t makers[3];
	char byte;
	for (int i = 0; i < 3; i++)
		pthread_create(&makers[i], NULL, maker, NULL);
	puts("main");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	ends = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(makers[i], NULL);
	return 7;
}
