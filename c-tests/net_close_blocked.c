/* close does not disturb who is blocked on the descriptor: the blocked call keeps the open file, gets its data, and takes nothing from
 * the pipe, the regular file or the socket that has the number by then (the lowest free one).
 * covers: close __close recv accept poll
 * proof: green_threads>=5 parks>=3 hooks.close>=3 hooks.__close>=1
 */
#include "sockets.h"

extern int __close(int);

static int fd[2];

static void *blocked_recv(void *unused)
{
    receive(fd[0], "before, after");
    return unused;
}

/* Starts a reader that is inside recv for certain, wanting more: it has taken the first piece. */
static pthread_t block_a_reader(void)
{
    pthread_t thread = spawn(blocked_recv, NULL);
    transmit(fd[1], "before");
    wait_taken(fd[0]);
    return thread;
}

static void finish(pthread_t thread, const char *number)
{
    transmit(fd[1], ", after");
    join(thread);
    say("the reader got it all; %s", number);
    char end;
    CHECK_IS(recv(fd[1], &end, 1, 0), 0);
    close(fd[1]);
}

static void nothing_new(void)
{
    pthread_t thread = block_a_reader();
    CHECK_IS(__close(fd[0]), 0);
    CHECK_FAILS(recv(fd[0], &(char){0}, 1, 0), EBADF);
    finish(thread, "the number is free");
}

static void pipe_takes_the_number(void)
{
    int ends[2];
    pthread_t thread = block_a_reader();
    CHECK_IS(close(fd[0]), 0);
    CHECK_IS(pipe(ends), 0);
    CHECK_IS(ends[0], fd[0]);
    CHECK_IS(write(ends[1], "pipe", 4), 4);
    finish(thread, "a pipe has the number");
    char text[5] = "";
    CHECK_IS(read(ends[0], text, 4), 4);
    CHECK(strcmp(text, "pipe") == 0);
    close_pair(ends);
}

static void file_takes_the_number(void)
{
    char text[5] = "";
    pthread_t thread = block_a_reader();
    CHECK_IS(close(fd[0]), 0);
    FILE *file = memory_file();
    CHECK_IS(fileno(file), fd[0]);
    CHECK_IS(write(fd[0], "file", 4), 4);
    CHECK_IS(pread(fd[0], text, 4, 0), 4);
    finish(thread, "a regular file has the number");
    CHECK(strcmp(text, "file") == 0);
    fclose(file);
}

static void socket_takes_the_number(void)
{
    int other[2];
    pthread_t thread = block_a_reader();
    CHECK_IS(close(fd[0]), 0);
    unix_pair(SOCK_STREAM, other);
    CHECK_IS(other[0], fd[0]);
    transmit(other[1], "socket");
    transmit(fd[1], ",");
    receive(other[0], "socket");
    CHECK_FAILS(recv(other[0], &(char){0}, 1, MSG_DONTWAIT), EAGAIN);
    transmit(fd[1], " after");
    join(thread);
    say("the reader got it all; a socket has the number");
    CHECK_IS(recv(fd[1], &(char){0}, 1, 0), 0);
    close(fd[1]);
    close_pair(other);
}

/* A reader without MSG_WAITALL and accept cannot show that they are inside: who comes too late (EBADF) tries again. */
static void *plain_recv(void *unused)
{
    char text[8];
    (void)unused;
    return (void *)(intptr_t)(recv(fd[0], text, sizeof text, 0) == 4);
}

static void blocked_plainly(void)
{
    bool inside = false;
    for (int i = 0; i < 100 && !inside; i++) {
        unix_pair(SOCK_STREAM, fd);
        pthread_t thread = spawn(plain_recv, NULL);
        nap(1 + i);
        close(fd[0]);
        send(fd[1], "late", 4, MSG_NOSIGNAL);
        inside = join(thread);
        close(fd[1]);
    }
    CHECK(inside);
    say("recv: got what came after the close");
}

static void *plain_accept(void *unused)
{
    (void)unused;
    int connection = accept(fd[0], NULL, NULL);
    return (void *)(intptr_t)(connection >= 0 && close(connection) == 0);
}

static void blocked_accept(void)
{
    struct sockaddr_in address;
    bool inside = false;
    for (int i = 0; i < 100 && !inside; i++) {
        fd[0] = tcp_listen(&address, 1);
        pthread_t thread = spawn(plain_accept, NULL);
        nap(1 + i);
        close(fd[0]);
        fd[1] = socket(AF_INET, SOCK_STREAM, 0);
        int connected = connect(fd[1], (struct sockaddr *)&address, sizeof address);
        inside = join(thread);
        CHECK(inside == (connected == 0));
        close(fd[1]);
    }
    CHECK(inside);
    say("accept: took the connection that came after the close");
}

/* poll holds the old file as well, but when that stirs it looks the number up again. */
static void *polls(void *unused)
{
    struct pollfd entry = {fd[0], POLLIN, 0};
    CHECK_IS(poll(&entry, 1, -1), 1);
    CHECK_IS(entry.revents, POLLNVAL);
    return unused;
}

static void blocked_poll(void)
{
    unix_pair(SOCK_STREAM, fd);
    pthread_t thread = spawn(polls, NULL);
    nap(2);
    close(fd[0]);
    send(fd[1], "late", 4, MSG_NOSIGNAL);
    join(thread);
    say("poll: POLLNVAL when the old file stirs");
    close(fd[1]);
}

int main(void)
{
    static void (*const subject[])(void) = {nothing_new, pipe_takes_the_number, file_takes_the_number, socket_takes_the_number};
    for (int i = 0; i < 4; i++) {
        tcp_pair(fd);
        int lower = open("/dev/null", O_RDONLY);
        CHECK(lower < fd[0]);
        subject[i]();
        close(lower);
        unix_pair(SOCK_STREAM, fd);
        subject[i]();
    }
    blocked_plainly();
    blocked_accept();
    blocked_poll();
    return 0;
}
