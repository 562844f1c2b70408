/* Threads that wait again and again, in the way that the argument says: which of them are loops? A library (libplaces, made of this file,
 * too) has a loop in a thread of its own. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURNS = 12, WAIT_MS = 30, SLEEP_MS = 60 };

void library_loops(void);

#ifdef LIBRARY
static void *loops(void *unused)
{
	int loop = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	epoll_ctl(loop, EPOLL_CTL_ADD, eventfd(0, EFD_NONBLOCK), &event);
	for (int turn = 0; turn < TURNS; turn++) {
		epoll_wait(loop, &event, 1, 1);
		if (turn == TURNS / 2)
			usleep(SLEEP_MS * 1000);
	}
	return unused;
}

void library_loops(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, loops, NULL);
	pthread_join(thread, NULL);
}
#else

/* Waits for one descriptor, as a driver does for its connection. */
__attribute__((noinline)) static void driver(int fd, int ms)
{
	struct pollfd one = { fd, POLLIN, 0 };
	if (poll(&one, 1, ms) != 0)
		abort();
}

__attribute__((noinline)) static void handler(void)
{
	usleep(SLEEP_MS * 1000);
}

int main(int count, char **arguments)
{
	const char *how = count > 1 ? arguments[1] : "";
	int ends[2], pipes[2], pair[2];
	if (pipe(pipes) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 2;
	ends[0] = socket(AF_INET, SOCK_DGRAM, 0);
	struct pollfd two[2] = { { ends[0], POLLIN, 0 }, { pipes[0], POLLIN, 0 } };
	struct pollfd wakes = { !strcmp(how, "pipe") ? pipes[0] : pair[0], POLLIN, 0 };
	if (!strcmp(how, "library")) {
		library_loops();
		return 0;
	}
	for (int turn = 0; turn < TURNS; turn++) {
		fd_set set;
		struct timeval limit = { 0, 1000 };
		FD_ZERO(&set);
		FD_SET(ends[0], &set);
		if (!strcmp(how, "driver"))
			driver(ends[0], WAIT_MS);
		else if (!strcmp(how, "pipe") || !strcmp(how, "pair"))
			poll(&wakes, 1, 1);
		else if (!strcmp(how, "selects_one"))
			select(ends[0] + 1, &set, NULL, NULL, &limit);
		else if (!strcmp(how, "selects_two")) {
			FD_SET(pipes[0], &set);
			select(FD_SETSIZE, &set, NULL, NULL, &limit);
		} else
			poll(two, 2, 1);
		if (!strcmp(how, "both"))
			driver(ends[0], turn == TURNS / 2 ? WAIT_MS : 1);
		else if (turn == TURNS / 2)
			handler();
	}
	if (!strcmp(how, "ends"))
		driver(ends[0], WAIT_MS);
	return 0;
}
#endif
