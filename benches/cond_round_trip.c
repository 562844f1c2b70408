/* cond_round_trip ROUNDS: two threads give each other the turn, each waiting for its own on a condition variable.
 *
 * wall_ns, cpu_ns: one round trip, there and back.
 */
#include "bench.h"

enum { WARM_UP_ROUNDS = 1000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned[2] = { PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER };
static int turn;
static long rounds;

static void play(int me, long times)
{
	for (long i = 0; i < times; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != me)
			pthread_cond_wait(&turned[me], &mutex);
		turn = !me;
		pthread_cond_signal(&turned[!me]);
		pthread_mutex_unlock(&mutex);
	}
}

static void *measuring_player(void *unused)
{
	play(0, WARM_UP_ROUNDS);
	double wall = wall_ns(), cpu = cpu_ns();
	play(0, rounds);
	print_figure("wall_ns", (wall_ns() - wall) / rounds);
	print_figure("cpu_ns", (cpu_ns() - cpu) / rounds);
	return unused;
}

static void *other_player(void *unused)
{
	play(1, WARM_UP_ROUNDS + rounds);
	return unused;
}

int main(int argc, char **argv)
{
	rounds = count_argument(argc, argv, 1, 100000);
	pthread_t players[2] = { start_thread(measuring_player, NULL), start_thread(other_player, NULL) };
	join_thread(players[0]);
	join_thread(players[1]);
	return 0;
}
