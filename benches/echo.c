/* echo unix|tcp PAIRS ROUNDS: a thread at each end of every connection; clients send 64 bytes, servers send them back.
 *
 * Every pair makes one round trip unmeasured. Then all clients stand before the gate, so that neither connecting nor creating
 * threads is measured; the last client to finish stops the clocks, and the others stay until then, so that no thread is ending meanwhile.
 *
 * wall_ns, cpu_ns: one round trip, over all pairs.
 */
#include "pairs.h"
#include <stdatomic.h>

static struct gate start = GATE_CLOSED, end = GATE_CLOSED;
static long rounds;
static atomic_long running;
static double end_wall, end_cpu;

static void round_trip(int fd, char *message)
{
	send_message(fd, message);
	if (!receive_message(fd, message))
		check(EPIPE, "recv");
}

static void *client(void *pair)
{
	int fd = ((struct pair *)pair)->client;
	char message[MESSAGE_BYTES] = "hello";
	round_trip(fd, message);
	gate_pass(&start);
	for (long i = 0; i < rounds; i++)
		round_trip(fd, message);
	if (atomic_fetch_sub(&running, 1) == 1) {
		end_wall = wall_ns();
		end_cpu = cpu_ns();
	}
	gate_pass(&end);
	must(shutdown(fd, SHUT_WR), "shutdown");
	return NULL;
}

static void *server(void *pair)
{
	int fd = ((struct pair *)pair)->server;
	char message[MESSAGE_BYTES];
	while (receive_message(fd, message))
		send_message(fd, message);
	return NULL;
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "tcp";
	long count = count_argument(argc, argv, 2, 10);
	rounds = count_argument(argc, argv, 3, 10000);
	running = count;
	struct pair *pairs = connect_pairs(kind, count);
	pthread_t (*ids)[2] = calloc(count, sizeof *ids);
	check(ids == NULL ? ENOMEM : 0, "calloc");
	for (long i = 0; i < count; i++) {
		ids[i][0] = start_thread(server, &pairs[i]);
		ids[i][1] = start_thread(client, &pairs[i]);
	}
	gate_await(&start, count);
	double wall = wall_ns(), cpu = cpu_ns();
	gate_open(&start);
	gate_await(&end, count);
	gate_open(&end);
	for (long i = 0; i < count; i++) {
		join_thread(ids[i][0]);
		join_thread(ids[i][1]);
	}
	close_pairs(pairs, count);
	free(ids);
	print_figure("wall_ns", (end_wall - wall) / (count * rounds));
	print_figure("cpu_ns", (end_cpu - cpu) / (count * rounds));
	return 0;
}
