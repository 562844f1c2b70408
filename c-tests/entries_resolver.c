/* The resolver's own waits park: twenty threads ask a slow name server (of this process) through libc, all at once, and it answers each
 * that there is no such name. Nobody keeps a kernel thread meanwhile. getaddrinfo answers for names that need no server.
 * covers: recvfrom sendto poll socket
 * proof: green_threads>=21 parks>=20 entries>=40 hooks.poll>=20 hooks.recvfrom>=40 kernel_threads_peak<=16
 * processors: 4
 * cflags: -lresolv
 */
#include "sockets.h"
#include <netdb.h>
#include <resolv.h>

enum { ASKERS = 20 };
static struct sockaddr_in server;

static void *asks(void *number)
{
    struct __res_state state = {0};
    unsigned char reply[512];
    char name[32];
    struct addrinfo *found, hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    CHECK_IS(res_ninit(&state), 0);
    state.nsaddr_list[0] = server;
    state.nscount = 1;
    snprintf(name, sizeof name, "host%d.invalid", (int)(intptr_t)number);
    CHECK_IS(res_nquery(&state, name, C_IN, T_A, reply, sizeof reply), -1);
    CHECK_IS(state.res_h_errno, HOST_NOT_FOUND);
    res_nclose(&state);
    CHECK_IS(getaddrinfo("127.0.0.1", "80", &hints, &found), 0);
    CHECK_IS(((struct sockaddr_in *)found->ai_addr)->sin_port, htons(80));
    freeaddrinfo(found);
    return NULL;
}

/* Answers when all have asked: the question, with the bits that say "an answer" and "no such name". */
static void *serves(void *socket)
{
    static unsigned char questions[ASKERS][512];
    struct sockaddr_in from[ASKERS];
    ssize_t length[ASKERS];
    int fd = *(int *)socket;
    for (int i = 0; i < ASKERS; i++) {
        length[i] = recvfrom(fd, questions[i], sizeof questions[i], 0, (struct sockaddr *)&from[i], &(socklen_t){sizeof from[i]});
        CHECK(length[i] > 12);
    }
    nap(3);
    for (int i = 0; i < ASKERS; i++) {
        questions[i][2] |= 0x80;
        questions[i][3] = 0x80 | 3;
        CHECK_IS(sendto(fd, questions[i], length[i], 0, (struct sockaddr *)&from[i], sizeof from[i]), length[i]);
    }
    return NULL;
}

int main(void)
{
    int fd = inet_bound(SOCK_DGRAM, &server);
    pthread_t asker[ASKERS], serving = spawn(serves, &fd);
    for (int i = 0; i < ASKERS; i++)
        asker[i] = spawn(asks, (void *)(intptr_t)i);
    for (int i = 0; i < ASKERS; i++)
        join(asker[i]);
    join(serving);
    say("%d names that no server knows", ASKERS);
    return 0;
}
