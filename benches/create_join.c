/* create_join warm|cold THREADS: what a thread costs that does nothing.
 *
 * warm: after a warm-up, threads are created and joined one after another: whoever keeps finished threads for reuse shows it here.
 * cold: the first threads of the process, created while all before them are alive, so that none can be a reused one.
 *
 * wall_ns, cpu_ns: one thread, created, run and joined.
 */
#include "bench.h"

enum { WARM_UP_THREADS = 1000 };

static struct gate end = GATE_CLOSED;

static void *nothing(void *unused)
{
	return unused;
}

static void *wait_for_the_end(void *unused)
{
	gate_pass(&end);
	return unused;
}

static void one_after_another(long threads)
{
	for (long i = 0; i < threads; i++)
		join_thread(start_thread(nothing, NULL));
}

static void all_at_once(long threads)
{
	pthread_t *ids = calloc(threads, sizeof *ids);
	check(ids == NULL ? ENOMEM : 0, "calloc");
	for (long i = 0; i < threads; i++)
		ids[i] = start_thread(wait_for_the_end, NULL);
	gate_await(&end, threads);
	gate_open(&end);
	for (long i = 0; i < threads; i++)
		join_thread(ids[i]);
	free(ids);
}

int main(int argc, char **argv)
{
	int warm = argc < 2 || strcmp(argv[1], "cold") != 0;
	long threads = count_argument(argc, argv, 2, 10000);
	if (warm)
		one_after_another(WARM_UP_THREADS);
	double wall = wall_ns(), cpu = cpu_ns();
	(warm ? one_after_another : all_at_once)(threads);
	print_figure("wall_ns", (wall_ns() - wall) / threads);
	print_figure("cpu_ns", (cpu_ns() - cpu) / threads);
	return 0;
}
