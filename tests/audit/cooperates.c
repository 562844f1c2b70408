/* A loop whose handler calls a library (libcooperates, made of this file, too) that reads from a socket: one that does not wait, one that
 * may but has something, or one that poll has looked at with a timeout. None of them ever waits. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURNS = 50, BYTES = 64 << 10 };

void library_reads(int fd, int polls);

#ifdef LIBRARY
void library_reads(int fd, int polls)
{
	static char room[BYTES];
	struct pollfd one = { fd, POLLIN, 0 };
	if (polls && poll(&one, 1, 1000) != 1)
		abort();
	for (int left = BYTES; left > 0;) {
		ssize_t count = recv(fd, room, left, 0);
		if (count <= 0)
			abort();
		left -= count;
	}
}
#else

int main(int count, char **arguments)
{
	static char room[BYTES];
	const char *how = count > 1 ? arguments[1] : "";
	int ends[2], loop = epoll_create1(0), bytes = 4 * BYTES;
	struct epoll_event event = { .events = EPOLLIN };
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes))
		return 2;
	if (strcmp(how, "may_wait") && fcntl(ends[1], F_SETFL, O_NONBLOCK))
		return 3;
	epoll_ctl(loop, EPOLL_CTL_ADD, ends[1], &event);
	for (int turn = 0; turn < TURNS; turn++) {
		if (send(ends[0], room, BYTES, 0) != BYTES || epoll_wait(loop, &event, 1, -1) != 1)
			return 4;
		library_reads(ends[1], !strcmp(how, "polls"));
	}
	return 0;
}
#endif
