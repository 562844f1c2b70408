/* Two threads that send to each other for ever let others run: one that sleeps, and one that waits for another process.
 * covers: send recv nanosleep
 * proof: green_threads>=4 parks>=20
 */
#include "sockets.h"

static atomic_int to_come = 2;

static void *play(void *end)
{
    int fd = (int)(intptr_t)end;
    char ball;
    while (to_come > 0) {
        if (recv(fd, &ball, 1, 0) != 1 || send(fd, &ball, 1, MSG_NOSIGNAL) != 1)
            break;
    }
    shutdown(fd, SHUT_RDWR); /* The other one may have been first. */
    return NULL;
}

static void *sleeper(void *unused)
{
    for (int i = 0; i < 20; i++)
        nap(1);
    to_come--;
    return unused;
}

static int far[2];

static void answer(void)
{
    char letter;
    CHECK_IS(recv(far[1], &letter, 1, 0), 1);
    CHECK_IS(send(far[1], "b", 1, 0), 1);
}

static void *correspondent(void *unused)
{
    char letter;
    CHECK_IS(send(far[0], "a", 1, 0), 1);
    CHECK_IS(recv(far[0], &letter, 1, 0), 1);
    to_come--;
    return unused;
}

int main(void)
{
    int ends[2];
    tcp_pair(ends);
    tcp_pair(far);
    pid_t other = fork();
    if (other == 0) {
        answer();
        _exit(0);
    }
    CHECK_IS(send(ends[0], "*", 1, 0), 1);
    pthread_t threads[] = {
        spawn(play, (void *)(intptr_t)ends[0]),
        spawn(play, (void *)(intptr_t)ends[1]),
        spawn(sleeper, NULL),
        spawn(correspondent, NULL),
    };
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    CHECK_IS(waitpid(other, NULL, 0), other);
    say("both were served");
    return 0;
}
