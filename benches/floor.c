/* floor unix|tcp PAIRS ROUNDS: the calls of echo.c in one thread, in an order in which none ever has to wait.
 *
 * This is what the kernel's sockets cost; whatever an echo takes beyond it is the price of waiting.
 *
 * wall_ns, cpu_ns: one round trip, over all pairs.
 */
#include "pairs.h"

static void round_trips(const struct pair *pairs, long count, long rounds)
{
	char message[MESSAGE_BYTES] = "hello";
	for (long i = 0; i < rounds; i++)
		for (const struct pair *pair = pairs; pair < pairs + count; pair++) {
			send_message(pair->client, message);
			receive_message(pair->server, message);
			send_message(pair->server, message);
			receive_message(pair->client, message);
		}
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "tcp";
	long count = count_argument(argc, argv, 2, 10);
	long rounds = count_argument(argc, argv, 3, 10000);
	struct pair *pairs = connect_pairs(kind, count);
	round_trips(pairs, count, 1);
	double wall = wall_ns(), cpu = cpu_ns();
	round_trips(pairs, count, rounds);
	print_figure("wall_ns", (wall_ns() - wall) / (count * rounds));
	print_figure("cpu_ns", (cpu_ns() - cpu) / (count * rounds));
	close_pairs(pairs, count);
	return 0;
}
