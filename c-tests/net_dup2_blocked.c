/* dup2 and dup3 onto a descriptor on which somebody is blocked: the blocked call keeps the old open file, later calls have the new one.
 * covers: dup2 __dup2 dup3 recv
 * proof: green_threads>=4 parks>=3 hooks.dup2>=1 hooks.__dup2>=1 hooks.dup3>=1
 */
#include "sockets.h"

extern int __dup2(int, int);

static int fd[2], other[2];

static void *blocked_recv(void *unused)
{
    receive(fd[0], "before, after");
    return unused;
}

static int dup3_plain(int from, int to)
{
    return dup3(from, to, O_CLOEXEC);
}

static void replace(int (*call)(int, int), const char *name)
{
    unix_pair(SOCK_STREAM, fd);
    unix_pair(SOCK_STREAM, other);
    pthread_t thread = spawn(blocked_recv, NULL);
    transmit(fd[1], "before");
    wait_taken(fd[0]);
    CHECK_IS(call(other[0], fd[0]), fd[0]);
    transmit(other[1], "new");
    receive(fd[0], "new");
    transmit(fd[1], ", after");
    join(thread);
    CHECK_IS(recv(fd[1], &(char){0}, 1, 0), 0);
    say("%s: the blocked one got the old file's data, the next the new one's", name);
    close_pair(fd);
    close_pair(other);
}

static void *both_wait(void *unused)
{
    receive(fd[0], "first, second");
    return unused;
}

/* The number changes its file while readers of each generation are blocked on it. */
static void generations(void)
{
    enum { COUNT = 5 };
    int peer[COUNT], number = -1;
    pthread_t thread[COUNT];
    for (int i = 0; i < COUNT; i++) {
        int pair[2];
        tcp_pair(pair);
        if (number < 0)
            number = fd[0] = pair[0];
        else
            CHECK_IS(dup2(pair[0], number) == number && close(pair[0]) == 0, true);
        peer[i] = pair[1];
        thread[i] = spawn(both_wait, NULL);
        transmit(peer[i], "first");
        wait_taken(number);
    }
    for (int i = 0; i < COUNT; i++) {
        transmit(peer[i], ", second");
        join(thread[i]);
    }
    say("%d generations on one number: each got its own", COUNT);
    for (int i = 0; i < COUNT; i++)
        close(peer[i]);
    close(number);
}

int main(void)
{
    replace(dup2, "dup2");
    replace(__dup2, "__dup2");
    replace(dup3_plain, "dup3");
    generations();
    return 0;
}
