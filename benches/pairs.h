/* pairs.h: the connections that echo.c and floor.c measure: pairs of connected sockets, unix or TCP over loopback, and a
 * 64-byte message sent and received whole.
 */
#ifndef PAIRS_H
#define PAIRS_H

#include "bench.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 64 };

struct pair {
	int client, server;
};

static inline void set_option(int fd, int level, int name, const void *value, socklen_t bytes)
{
	must(setsockopt(fd, level, name, value, bytes), "setsockopt");
}

static inline void connect_tcp(struct pair *pairs, long count)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof address;
	int listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	must(bind(listener, (struct sockaddr *)&address, bytes), "bind");
	must(listen(listener, 1), "listen");
	must(getsockname(listener, (struct sockaddr *)&address, &bytes), "getsockname");
	/* Closing resets: thousands of connections in TIME_WAIT would slow the next run. */
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	const int on = 1;
	for (long i = 0; i < count; i++) {
		struct pair *pair = &pairs[i];
		pair->client = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
		must(connect(pair->client, (struct sockaddr *)&address, sizeof address), "connect");
		pair->server = must(accept(listener, NULL, NULL), "accept");
		set_option(pair->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		set_option(pair->server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		set_option(pair->client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		set_option(pair->server, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	}
	close(listener);
}

static inline void connect_unix(struct pair *pairs, long count)
{
	for (long i = 0; i < count; i++) {
		int ends[2];
		must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
		pairs[i] = (struct pair){ .client = ends[0], .server = ends[1] };
	}
}

/* `count` connected pairs of the kind named "unix" or "tcp", with room for their descriptors. */
static inline struct pair *connect_pairs(const char *kind, long count)
{
	struct pair *pairs = calloc(count, sizeof *pairs);
	check(pairs == NULL ? ENOMEM : 0, "calloc");
	raise_descriptor_limit();
	if (strcmp(kind, "tcp") == 0)
		connect_tcp(pairs, count);
	else if (strcmp(kind, "unix") == 0)
		connect_unix(pairs, count);
	else
		check(EINVAL, kind);
	return pairs;
}

static inline void close_pairs(struct pair *pairs, long count)
{
	for (long i = 0; i < count; i++) {
		close(pairs[i].client);
		close(pairs[i].server);
	}
	free(pairs);
}

static inline void send_message(int fd, const char *message)
{
	if (must(send(fd, message, MESSAGE_BYTES, 0), "send") != MESSAGE_BYTES)
		check(EMSGSIZE, "send");
}

/* Answers 0 when the other end has shut down instead. */
static inline int receive_message(int fd, char *message)
{
	int received = 0;
	while (received < MESSAGE_BYTES) {
		int bytes = must(recv(fd, message + received, MESSAGE_BYTES - received, 0), "recv");
		if (bytes == 0)
			return 0;
		received += bytes;
	}
	return 1;
}

#endif
