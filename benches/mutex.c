/* mutex THREADS MUTEXES ROUNDS YIELD_EVERY: threads count under mutexes picked at random among a few, or the only one.
 *
 * Every YIELD_EVERYth time a thread yields the processor while it holds its mutex, so that others find it taken even where all
 * share one processor; a number above ROUNDS leaves that out.
 *
 * wall_ns, cpu_ns: one lock and unlock, over all threads.
 */
#include "bench.h"
#include <sched.h>
#include <stdatomic.h>

struct counter {
	_Alignas(64) pthread_mutex_t mutex; /* a cache line of its own */
	long count;
};

static struct gate start = GATE_CLOSED;
static struct counter *counters;
static long threads, mutexes, rounds, yield_every;
static atomic_long running;
static double end_wall, end_cpu;

static void *hammer(void *seed)
{
	unsigned long random = (unsigned long)seed;
	gate_pass(&start);
	for (long i = 1; i <= rounds; i++) {
		random = random * 6364136223846793005UL + 1442695040888963407UL;
		struct counter *counter = &counters[(random >> 33) % mutexes];
		pthread_mutex_lock(&counter->mutex);
		counter->count++;
		if (i % yield_every == 0)
			sched_yield();
		pthread_mutex_unlock(&counter->mutex);
	}
	if (atomic_fetch_sub(&running, 1) == 1) {
		end_wall = wall_ns();
		end_cpu = cpu_ns();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	threads = count_argument(argc, argv, 1, 8);
	mutexes = count_argument(argc, argv, 2, 1);
	rounds = count_argument(argc, argv, 3, 100000);
	yield_every = count_argument(argc, argv, 4, rounds + 1);
	running = threads;
	counters = aligned_alloc(64, mutexes * sizeof *counters);
	pthread_t *ids = calloc(threads, sizeof *ids);
	check(counters == NULL || ids == NULL ? ENOMEM : 0, "allocation");
	for (long i = 0; i < mutexes; i++) {
		counters[i].count = 0;
		check(pthread_mutex_init(&counters[i].mutex, NULL), "pthread_mutex_init");
	}
	for (long i = 0; i < threads; i++)
		ids[i] = start_thread(hammer, (void *)(i + 1));
	gate_await(&start, threads);
	double wall = wall_ns(), cpu = cpu_ns();
	gate_open(&start);
	for (long i = 0; i < threads; i++)
		join_thread(ids[i]);

	long total = 0;
	for (long i = 0; i < mutexes; i++)
		total += counters[i].count;
	if (total != threads * rounds)
		check(EINVAL, "counts lost under the mutexes");
	print_figure("wall_ns", (end_wall - wall) / total);
	print_figure("cpu_ns", (end_cpu - cpu) / total);
	free(counters);
	free(ids);
	return 0;
}
