/* A slow server: it sends every line back two seconds after it came, to any number of connections, on one thread.
 *
 * It stands for the database, the backend or the far-away service that a program waits for. `server` listens on a loopback
 * port of the kernel's choice, prints the port's number, and serves until its standard input ends, so that it never outlives
 * whoever started it. All answers are delayed alike, so the requests that wait for theirs are a queue: first in, first out. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DELAY_MS = 2000, LINE = 64, CONNECTIONS = 1 << 16 };

/* What one connection has sent since its last whole line. */
struct connection {
    unsigned life; /* counts the connections that had this descriptor: an answer for an earlier one is dropped */
    size_t length;
    char line[LINE];
};

/* A line that waits for its time to be sent back. */
struct answer {
    struct answer *next;
    long long due_ms;
    int fd;
    unsigned life;
    size_t length;
    char line[LINE];
};

static struct connection connections[CONNECTIONS];
static struct answer *first, **last = &first;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void hang_up(int fd) {
    connections[fd].life++;
    close(fd);
}

static void queue_answer(int fd, struct connection *connection) {
    struct answer *answer = malloc(sizeof *answer);
    if (!answer) die("malloc");
    *answer = (struct answer){.due_ms = now_ms() + DELAY_MS, .fd = fd, .life = connection->life, .length = connection->length};
    memcpy(answer->line, connection->line, connection->length);
    connection->length = 0;
    *last = answer;
    last = &answer->next;
}

static void read_request(int fd) {
    struct connection *connection = &connections[fd];
    char bytes[4096];
    ssize_t count = recv(fd, bytes, sizeof bytes, 0);
    if (count <= 0) {
        hang_up(fd);
        return;
    }
    for (ssize_t i = 0; i < count; i++) {
        if (connection->length == LINE) { /* no client of ours sends so long a line */
            hang_up(fd);
            return;
        }
        connection->line[connection->length++] = bytes[i];
        if (bytes[i] == '\n') queue_answer(fd, connection);
    }
}

static void send_due_answers(void) {
    while (first && first->due_ms <= now_ms()) {
        struct answer *answer = first;
        if (connections[answer->fd].life == answer->life) send(answer->fd, answer->line, answer->length, MSG_NOSIGNAL | MSG_DONTWAIT);
        first = answer->next;
        if (!first) last = &first;
        free(answer);
    }
}

static void accept_all(int listener, int epoll) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= CONNECTIONS) {
            close(fd);
            continue;
        }
        connections[fd].length = 0;
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
    }
    if (errno != EAGAIN && errno != ECONNABORTED) die("accept4");
}

int main(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0) die("bind");
    if (listen(listener, 4096) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0) die("listen");

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) die("epoll");
    event.data.fd = STDIN_FILENO;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0) die("standard input must be a pipe or a terminal");

    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        long long wait_ms = first ? first->due_ms - now_ms() : -1;
        int count = epoll_wait(epoll, events, 256, first && wait_ms < 0 ? 0 : (int)wait_ms);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) accept_all(listener, epoll);
            else if (fd != STDIN_FILENO) read_request(fd);
            else if (read(fd, (char[64]){0}, 64) <= 0) return 0;
        }
        send_due_answers();
    }
}
