/* A program to be looked at by a debugger: three threads meet at a barrier, and each takes its turn. */
#include <pthread.h>
#include <stdio.h>

static pthread_barrier_t barrier;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int turns[3];

static void take_turn(int number)
{
	pthread_mutex_lock(&mutex);
	turns[number] += number + 1;
	pthread_mutex_unlock(&mutex);
}

static void *run(void *number)
{
	pthread_barrier_wait(&barrier);
	take_turn((int)(long)number);
	pthread_barrier_wait(&barrier);
	return NULL;
}

int main(void)
{
	pthread_t threads[3];
	pthread_barrier_init(&barrier, NULL, 3);
	for (long i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, run, (void *)i);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("turns: %d %d %d\n", turns[0], turns[1], turns[2]);
	return 0;
}
