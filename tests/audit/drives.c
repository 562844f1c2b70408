/* A driver of one connection, which polls and selects it again and again at one place each: what it waits for is its server, and no loop.
 * The other end is always ready but at the last time, when the wait takes its timeout of 80 ms. */
#include <poll.h>
#include <stdio.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TIMES = 20 };

__attribute__((noinline)) static void polls(int fd, int timeout)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	poll(&one, 1, timeout);
}

__attribute__((noinline)) static void selects(int fd, int timeout)
{
	struct timeval time = { .tv_usec = timeout * 1000 };
	fd_set one;
	FD_ZERO(&one);
	FD_SET(fd, &one);
	select(fd + 1, &one, NULL, NULL, &time);
}

int main(void)
{
	int ends[2];
	char byte = 1;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || write(ends[1], &byte, 1) != 1)
		return 2;
	for (int time = 1; time < TIMES; time++) {
		polls(ends[0], 80);
		selects(ends[0], 80);
	}
	if (read(ends[0], &byte, 1) != 1)
		return 3;
	polls(ends[0], 80);
	selects(ends[0], 80);
	return 0;
}
