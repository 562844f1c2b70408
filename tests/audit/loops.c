/* An event loop of an epoll and an eventfd, woken every millisecond by a thread that polls busily; in its tenth turn a handler sleeps for
 * 80 ms. Ends as the argument says: return, exit, abort, kill, execute (itself, once); on: never, and
 * the handler sleeps again and again. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int wake_up;

static void *wakes(void *unused)
{
	for (uint64_t one = 1;;) {
		usleep(1000);
		if (write(wake_up, &one, sizeof one) != sizeof one)
			abort();
	}
	return unused;
}

__attribute__((noinline)) static void handler_blocks(void)
{
	usleep(80000);
}

int main(int count, char **arguments)
{
	int loop = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	pthread_t thread;
	const char *end = count > 1 ? arguments[1] : "return";
	wake_up = eventfd(0, EFD_NONBLOCK);
	epoll_ctl(loop, EPOLL_CTL_ADD, wake_up, &event);
	pthread_create(&thread, NULL, wakes, NULL);
	for (int turn = 0; turn < 300 || !strcmp(end, "on"); turn++) {
		uint64_t times;
		epoll_wait(loop, &event, 1, -1);
		if (read(wake_up, &times, sizeof times) != sizeof times)
			return 2;
		if (turn % 300 == 10)
			handler_blocks();
	}
	if (!strcmp(end, "exit"))
		_exit(3);
	if (!strcmp(end, "abort"))
		abort();
	if (!strcmp(end, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(end, "execute"))
		execl(arguments[0], arguments[0], "return", (char *)NULL);
	return 0;
}
