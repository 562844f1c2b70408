/* idle cond|recv THREADS: what a thread costs that only waits, with all of them waiting at once.
 *
 * cond: all on one condition variable. recv: each in recv on a socket of its own (a nameless unix datagram socket, since that
 * needs one descriptor a thread). Where the system gives fewer threads than asked, it makes do with those. At the end all are
 * woken, end, and are joined.
 *
 * created: threads waiting at once (the most the system gave). resident_bytes, table_bytes: resident memory and page tables, each.
 * mappings: lines of /proc/self/maps. kernel_threads: threads the kernel knows of, main among them.
 * create_ns, join_ns: each, from the first creation until all wait, and from the wake-up until all are joined.
 */
#include "bench.h"
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The last threads announce themselves just before their recv; this is time to enter it. */
enum { SETTLE_US = 300000 };

struct usage {
	long resident_bytes, table_bytes, kernel_threads, mappings;
};

static struct gate gate = GATE_CLOSED;

static void *wait_on_gate(void *unused)
{
	gate_pass(&gate);
	return unused;
}

static void *wait_in_recv(void *socket_fd)
{
	char byte;
	pthread_mutex_lock(&gate.mutex);
	gate_arrive(&gate);
	pthread_mutex_unlock(&gate.mutex);
	must(recv((int)(long)socket_fd, &byte, 1, 0), "recv");
	return NULL;
}

/* A socket with a name that the kernel chose. */
static int named_socket(void)
{
	const struct sockaddr_un nameless = { .sun_family = AF_UNIX };
	int fd = must(socket(AF_UNIX, SOCK_DGRAM, 0), "socket");
	must(bind(fd, (const struct sockaddr *)&nameless, sizeof nameless.sun_family), "bind");
	return fd;
}

static void send_byte(int sender, int receiver)
{
	struct sockaddr_un name;
	socklen_t bytes = sizeof name;
	must(getsockname(receiver, (struct sockaddr *)&name, &bytes), "getsockname");
	must(sendto(sender, "", 1, 0, (struct sockaddr *)&name, bytes), "sendto");
}

static long count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	check(file == NULL ? errno : 0, "/proc/self/maps");
	long lines = 0;
	for (int c; (c = fgetc(file)) != EOF;)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static struct usage measure_usage(void)
{
	struct usage usage = { .mappings = count_mappings() };
	FILE *file = fopen("/proc/self/status", "r");
	check(file == NULL ? errno : 0, "/proc/self/status");
	char line[256];
	long value;
	while (fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "VmRSS: %ld", &value) == 1)
			usage.resident_bytes = value * 1024;
		else if (sscanf(line, "VmPTE: %ld", &value) == 1)
			usage.table_bytes = value * 1024;
		else if (sscanf(line, "Threads: %ld", &value) == 1)
			usage.kernel_threads = value;
	}
	fclose(file);
	return usage;
}

/* Creates threads until there are enough or no more can be had; answers how many. */
static long create_threads(pthread_t *ids, int *sockets, long threads, int in_recv)
{
	long created = 0;
	for (; created < threads; created++) {
		sockets[created] = in_recv ? named_socket() : -1;
		void *argument = (void *)(long)sockets[created];
		if (pthread_create(&ids[created], NULL, in_recv ? wait_in_recv : wait_on_gate, argument) != 0)
			break;
	}
	return created;
}

int main(int argc, char **argv)
{
	int in_recv = argc > 1 && strcmp(argv[1], "recv") == 0;
	long threads = count_argument(argc, argv, 2, 1000);
	pthread_t *ids = malloc(threads * sizeof *ids);
	int *sockets = malloc(threads * sizeof *sockets);
	check(ids == NULL || sockets == NULL ? ENOMEM : 0, "malloc");
	/* Resident before the threads are, so that they are not charged for it. */
	memset(ids, 0, threads * sizeof *ids);
	memset(sockets, 0, threads * sizeof *sockets);
	raise_descriptor_limit();
	int sender = must(socket(AF_UNIX, SOCK_DGRAM, 0), "socket");

	struct usage before = measure_usage();
	double start = wall_ns();
	long created = create_threads(ids, sockets, threads, in_recv);
	gate_await(&gate, created);
	double all_wait = wall_ns();
	if (in_recv)
		usleep(SETTLE_US);
	struct usage idle = measure_usage();

	double wake = wall_ns();
	for (long i = 0; in_recv && i < created; i++)
		send_byte(sender, sockets[i]);
	gate_open(&gate);
	for (long i = 0; i < created; i++)
		join_thread(ids[i]);
	double all_joined = wall_ns();

	print_figure("created", created);
	print_figure("resident_bytes", (double)(idle.resident_bytes - before.resident_bytes) / created);
	print_figure("table_bytes", (double)(idle.table_bytes - before.table_bytes) / created);
	print_figure("mappings", idle.mappings);
	print_figure("kernel_threads", idle.kernel_threads);
	print_figure("create_ns", (all_wait - start) / created);
	print_figure("join_ns", (all_joined - wake) / created);
	free(sockets);
	free(ids);
	return 0;
}
