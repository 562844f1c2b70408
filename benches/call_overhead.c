/* call_overhead CALLS: what common calls cost in a program that never creates a thread, where a preloaded library must not show.
 *
 * Each call is timed in many short batches, of which the quickest counts: it is the one that nothing disturbed.
 *
 * One key per call, in nanoseconds; where a step needs two calls (send and recv), half of what both take.
 */
#include "bench.h"
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BATCHES = 40, MESSAGE_BYTES = 64 };

static char message[MESSAGE_BYTES];
static struct iovec vector = { message, MESSAGE_BYTES };
static int zero, null, pipe_ends[2], socket_ends[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t semaphore;

static void do_nothing(void)
{
}

static void read_zero(void)
{
	must(read(zero, message, MESSAGE_BYTES), "read");
}

static void write_null(void)
{
	must(write(null, message, MESSAGE_BYTES), "write");
}

static void writev_null(void)
{
	must(writev(null, &vector, 1), "writev");
}

static void write_and_read_pipe(void)
{
	must(write(pipe_ends[1], message, MESSAGE_BYTES), "write");
	must(read(pipe_ends[0], message, MESSAGE_BYTES), "read");
}

static void send_and_recv(void)
{
	must(send(socket_ends[0], message, MESSAGE_BYTES, 0), "send");
	must(recv(socket_ends[1], message, MESSAGE_BYTES, 0), "recv");
}

static void poll_writable(void)
{
	struct pollfd ready = { .fd = socket_ends[0], .events = POLLOUT };
	must(poll(&ready, 1, -1), "poll");
}

static void poll_nothing(void)
{
	struct pollfd none = { .fd = socket_ends[0], .events = POLLIN };
	must(poll(&none, 1, 0), "poll");
}

static void open_and_close(void)
{
	must(close(must(open("/dev/null", O_RDONLY), "open")), "close");
}

static void get_flags(void)
{
	must(fcntl(zero, F_GETFL), "fcntl");
}

static void get_time(void)
{
	struct timespec now;
	must(clock_gettime(CLOCK_MONOTONIC, &now), "clock_gettime");
}

static void yield(void)
{
	must(sched_yield(), "sched_yield");
}

static void lock_and_unlock_mutex(void)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
}

static void lock_and_unlock_rwlock(void)
{
	pthread_rwlock_rdlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
}

static void signal_cond(void)
{
	pthread_cond_signal(&cond);
}

static void post_and_wait(void)
{
	must(sem_post(&semaphore), "sem_post");
	must(sem_wait(&semaphore), "sem_wait");
}

static void call_once(void)
{
	pthread_once(&once, do_nothing);
}

static const struct step {
	const char *key;
	int calls;
	void (*run)(void);
} steps[] = {
	{ "read", 1, read_zero },
	{ "write", 1, write_null },
	{ "writev", 1, writev_null },
	{ "write_read_pipe", 2, write_and_read_pipe },
	{ "send_recv", 2, send_and_recv },
	{ "poll", 1, poll_writable },
	{ "poll_nothing", 1, poll_nothing },
	{ "open_close", 2, open_and_close },
	{ "fcntl_getfl", 1, get_flags },
	{ "clock_gettime", 1, get_time },
	{ "sched_yield", 1, yield },
	{ "mutex_lock_unlock", 2, lock_and_unlock_mutex },
	{ "rwlock_rdlock_unlock", 2, lock_and_unlock_rwlock },
	{ "cond_signal", 1, signal_cond },
	{ "sem_post_wait", 2, post_and_wait },
	{ "once", 1, call_once },
};

static double batch_ns(const struct step *step, long calls)
{
	double start = wall_ns();
	for (long i = 0; i < calls; i += step->calls)
		step->run();
	return (wall_ns() - start) / calls;
}

int main(int argc, char **argv)
{
	long calls = count_argument(argc, argv, 1, 10000);
	zero = must(open("/dev/zero", O_RDONLY), "open");
	null = must(open("/dev/null", O_WRONLY), "open");
	must(pipe(pipe_ends), "pipe");
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, socket_ends), "socketpair");
	must(sem_init(&semaphore, 0, 0), "sem_init");
	for (const struct step *step = steps; step < steps + sizeof steps / sizeof *steps; step++) {
		double quickest = batch_ns(step, calls);
		for (int batch = 1; batch < BATCHES; batch++) {
			double ns = batch_ns(step, calls);
			quickest = ns < quickest ? ns : quickest;
		}
		print_figure(step->key, quickest);
	}
	return 0;
}
