/* recorded_call sleep CALLS FRAMES: what a sleep costs its thread's processor, from FRAMES frames down; a recorder adds to it.
 * recorded_call read CALLS FRAMES: the same of a read that takes its time in the kernel, one behind the other: nothing has left the caches.
 * recorded_call memory THREADS: what the process has resident once THREADS threads have made long calls and stand blocked.
 *
 * call_ns: of sleeps the median; of reads that of a hundred in a row, the quickest hundred's. resident_bytes: of the whole process.
 */
#include "bench.h"
#include <fcntl.h>
#include <stdbool.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LONG_MS = 2, MOST = 100000, PARTS = 16 };

static double spent[MOST];

static int zeros = -1;
static char block[1 << 15];
static struct iovec parts[PARTS];

/* Waits from `frames` frames down: in the kernel's work, where the file of zeros is open, else asleep. */
static __attribute__((noinline)) int wait_deep_down(long frames)
{
	if (frames > 1) {
		int result = wait_deep_down(frames - 1);
		__asm__ volatile("" ::: "memory"); /* no jump in the call's place */
		return result;
	}
	if (zeros >= 0)
		return readv(zeros, parts, PARTS) == PARTS * sizeof block ? 0 : -1;
	return usleep(LONG_MS * 1000);
}

static int by_value(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;
	return a < b ? -1 : a > b;
}

static struct gate gate = GATE_CLOSED;

static void *waits(void *argument)
{
	for (int i = 0; i < 10; i++)
		must(wait_deep_down(16), "usleep");
	gate_pass(&gate);
	return argument;
}

static void memory(long threads)
{
	pthread_t *all = calloc(threads, sizeof *all);
	check(all ? 0 : ENOMEM, "calloc");
	for (long i = 0; i < threads; i++)
		all[i] = start_thread(waits, NULL);
	gate_await(&gate, threads);
	long size, resident;
	FILE *statm = fopen("/proc/self/statm", "r");
	check(statm && fscanf(statm, "%ld %ld", &size, &resident) == 2 ? 0 : EIO, "/proc/self/statm");
	print_figure("resident_bytes", (double)resident * sysconf(_SC_PAGESIZE));
	gate_open(&gate);
	for (long i = 0; i < threads; i++)
		join_thread(all[i]);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "memory") == 0) {
		memory(count_argument(argc, argv, 2, 100));
		return 0;
	}
	bool reads = argc > 1 && strcmp(argv[1], "read") == 0;
	long calls = count_argument(argc, argv, 2, 500), frames = count_argument(argc, argv, 3, 16), row = reads ? 100 : 1;
	check(calls > MOST ? EINVAL : 0, "CALLS");
	if (reads)
		must(zeros = open("/dev/zero", O_RDONLY), "/dev/zero");
	for (int i = 0; i < PARTS; i++)
		parts[i] = (struct iovec){block, sizeof block};
	for (long i = 0; i < calls; i++) {
		double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		for (long j = 0; j < row; j++)
			must(wait_deep_down(frames), "the call");
		spent[i] = (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / row;
	}
	qsort(spent, calls, sizeof *spent, by_value);
	print_figure("call_ns", spent[reads ? 0 : calls / 2]);
	return 0;
}
