/* file_calls CALLS: what calls that may block in the kernel cost when they do not, made by a thread: where the library must let go of
 * its right to run and take it back, and neither may show.
 *
 * Each call is timed in many short batches, of which the quickest counts: it is the one that nothing disturbed.
 *
 * One key per call, in nanoseconds; where a step needs two calls (lock and unlock), half of what both take.
 */
#include "bench.h"
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

enum { BATCHES = 40, BYTES = 64 };

static char path[] = "/tmp/file_calls-XXXXXX", bytes[BYTES];
static int fd;
static long calls;

static void read_cached(void)
{
	must(pread(fd, bytes, BYTES, 0), "pread");
}

static void read_and_seek(void)
{
	must(read(fd, bytes, BYTES), "read");
	must(lseek(fd, 0, SEEK_SET), "lseek");
}

static void write_cached(void)
{
	must(pwrite(fd, bytes, BYTES, 0), "pwrite");
}

static void lock_whole(void)
{
	must(flock(fd, LOCK_EX), "flock");
	must(flock(fd, LOCK_UN), "flock");
}

static void lock_record(void)
{
	struct flock lock = { .l_type = F_WRLCK };
	must(fcntl(fd, F_SETLKW, &lock), "fcntl");
	lock.l_type = F_UNLCK;
	must(fcntl(fd, F_SETLKW, &lock), "fcntl");
}

static void open_and_close(void)
{
	must(close(must(open(path, O_RDONLY), "open")), "close");
}

static const struct step {
	const char *key;
	int calls;
	void (*run)(void);
} steps[] = {
	{ "pread", 1, read_cached },
	{ "read_lseek", 2, read_and_seek },
	{ "pwrite", 1, write_cached },
	{ "flock", 2, lock_whole },
	{ "fcntl_setlkw", 2, lock_record },
	{ "open_close", 2, open_and_close },
};

static double batch_ns(const struct step *step)
{
	double start = wall_ns();
	for (long i = 0; i < calls; i += step->calls)
		step->run();
	return (wall_ns() - start) / calls;
}

static void *measure(void *unused)
{
	for (const struct step *step = steps; step < steps + sizeof steps / sizeof *steps; step++) {
		double quickest = batch_ns(step);
		for (int batch = 1; batch < BATCHES; batch++) {
			double ns = batch_ns(step);
			quickest = ns < quickest ? ns : quickest;
		}
		print_figure(step->key, quickest);
	}
	return unused;
}

int main(int argc, char **argv)
{
	calls = count_argument(argc, argv, 1, 10000);
	fd = must(mkstemp(path), "mkstemp");
	must(write(fd, bytes, BYTES), "write");
	join_thread(start_thread(measure, NULL));
	must(unlink(path), "unlink");
	return 0;
}
