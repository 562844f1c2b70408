/* Both ends of a connection in one process: what one sends reaches the other, also when numbers are used again for other connections,
 * when an end is known under another number, and when a fork child holds it.
 * covers: send recv socketpair dup2 close
 * proof: green_threads>=20 parks>=40
 */
#include "sockets.h"

enum { ROUNDS = 20 };

static void *echo(void *end)
{
    int fd = (int)(intptr_t)end;
    char letter;
    while (recv(fd, &letter, 1, 0) == 1)
        CHECK_IS(send(fd, &letter, 1, 0), 1);
    return NULL;
}

/* The other end echoes what this one sends. */
static void talk(int fd)
{
    for (int i = 0; i < ROUNDS; i++) {
        char letter = 'a' + i, back = 0;
        CHECK_IS(send(fd, &letter, 1, 0), 1);
        CHECK_IS(recv(fd, &back, 1, 0), 1);
        CHECK_IS(back, letter);
    }
}

static void converse(int ends[2])
{
    pthread_t thread = spawn(echo, (void *)(intptr_t)ends[1]);
    talk(ends[0]);
    CHECK_IS(shutdown(ends[0], SHUT_WR), 0);
    join(thread);
}

static void *wait_for_own(void *end)
{
    char text[4] = "";
    CHECK_IS(recv((int)(intptr_t)end, text, 3, MSG_WAITALL), 3);
    CHECK(strcmp(text, "own") == 0);
    return NULL;
}

/* The reader of an old connection is not disturbed by what goes through the number that its peer had. */
static void used_again(void (*make)(int[2]))
{
    int first[2], second[2];
    make(first);
    pthread_t reader = spawn(wait_for_own, (void *)(intptr_t)first[1]);
    CHECK_IS(send(first[0], "o", 1, 0), 1);
    wait_taken(first[1]);
    int kept = dup(first[0]);
    make(second);
    CHECK_IS(dup2(second[0], first[0]), first[0]);
    close(second[0]);
    second[0] = first[0];
    converse(second);
    CHECK_IS(send(kept, "wn", 2, 0), 2);
    join(reader);
    close(kept);
    close(first[1]);
    close_pair(second);
}

static void tcp(int ends[2])
{
    tcp_pair(ends);
}

static void local(int ends[2])
{
    unix_pair(SOCK_STREAM, ends);
}

static int inherited[2];

static void child(void)
{
    talk(inherited[0]);
}

static void all(void)
{
    for (int i = 0; i < 4; i++) {
        int ends[2];
        (i % 2 ? tcp : local)(ends);
        converse(ends);
        close_pair(ends);
    }
    say("both ends here");
    used_again(tcp);
    used_again(local);
    say("a number used again");
    tcp_pair(inherited);
    pthread_t thread = spawn(echo, (void *)(intptr_t)inherited[1]);
    talk(inherited[0]);
    CHECK_IS(in_child(child), 0);
    talk(inherited[0]);
    CHECK_IS(shutdown(inherited[0], SHUT_WR), 0);
    join(thread);
    close_pair(inherited);
    say("an end in a child");
}

int main(void)
{
    for (int i = 0; i < 3; i++)
        in_thread(all);
    return 0;
}
