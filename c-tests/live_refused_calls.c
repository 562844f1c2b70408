/* Calls that only the library makes are refused by a filter, each with each error that kernels, emulators and containers answer: what the
 * program asks for by the calls that it may make is done all the same, once, and nothing is lost.
 * covers: read write nanosleep poll pthread_kill pthread_cond_wait
 * needs: seccomp
 * proof: green_threads>=5 parks>=20
 */
#define CTEST_SECONDS 60
#include "ctest.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

enum { MOST = 4, MESSAGES = 20 };

static const struct {
    const char *what;
    int calls[MOST];
} groups[] = {
    {"preadv2 pwritev2", {SYS_preadv2, SYS_pwritev2, -1}},
    {"recvfrom sendto", {SYS_recvfrom, SYS_sendto, -1}},
    {"preadv2 pwritev2 recvfrom sendto", {SYS_preadv2, SYS_pwritev2, SYS_recvfrom, SYS_sendto}},
    {"epoll_pwait2", {SYS_epoll_pwait2, -1}},
    {"epoll_pwait2 epoll_pwait", {SYS_epoll_pwait2, SYS_epoll_pwait, -1}},
    {"ppoll", {SYS_ppoll, -1}},
    {"rt_tgsigqueueinfo", {SYS_rt_tgsigqueueinfo, -1}},
    {"eventfd2 epoll_create1", {SYS_eventfd2, SYS_epoll_create1, -1}},
    {"pidfd_open clone3", {SYS_pidfd_open, SYS_clone3, -1}},
    {"membarrier madvise", {SYS_membarrier, SYS_madvise, -1}},
    {"PR_SET_SYSCALL_USER_DISPATCH", {SYS_prctl, -1}},
};
static const int errors[] = {ENOSYS, EPERM, EINVAL, EACCES};

static int group, error, pipe_ends[2], socket_ends[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;
static atomic_int handled;

/* clone3 is refused with ENOSYS only: natively libc takes another error for its caller's. */
static int refusal(int call)
{
    return call == SYS_clone3 ? ENOSYS : error;
}

static void refuse(void)
{
    struct sock_filter filter[4 * MOST + 2];
    int length = 0;
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < MOST && groups[group].calls[i] > 0; i++) {
        int call = groups[group].calls[i];
        /* prctl is many calls: this one alone is refused. (It is the last in its group: the number is no longer loaded afterwards.) */
        bool is_prctl = call == SYS_prctl;
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, is_prctl ? 3 : 1);
        if (is_prctl) {
            filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args));
            filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SYSCALL_USER_DISPATCH, 0, 1);
        }
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | refusal(call));
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, filter};
    CHECK_IS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_IS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

static void *writes(void *unused)
{
    for (int i = 0; i < MESSAGES; i++) {
        CHECK_IS(write(pipe_ends[1], &i, sizeof i), sizeof i);
        CHECK_IS(write(socket_ends[1], &i, sizeof i), sizeof i);
        nap(1);
    }
    close(pipe_ends[1]);
    CHECK_IS(shutdown(socket_ends[1], SHUT_WR), 0);
    return unused;
}

static void *reads(void *end)
{
    int number, wanted = 0;
    ssize_t got;
    while ((got = read(*(int *)end, &number, sizeof number)) > 0) {
        CHECK_IS(got, sizeof number);
        CHECK_IS(number, wanted++);
    }
    CHECK_IS(got, 0);
    CHECK_IS(wanted, MESSAGES);
    return end;
}

static void *takes_turns(void *mine)
{
    CHECK(pthread_mutex_lock(&mutex) == 0);
    for (int i = 0; i < MESSAGES; i++) {
        while (turn % 2 != (mine != NULL))
            CHECK(pthread_cond_wait(&changed, &mutex) == 0);
        turn++;
        CHECK(pthread_cond_broadcast(&changed) == 0);
    }
    CHECK(pthread_mutex_unlock(&mutex) == 0);
    return mine;
}

static void handler(int signal)
{
    handled += signal == SIGUSR1;
}

static void all(void)
{
    pthread_t threads[5];
    CHECK_IS(pipe(pipe_ends), 0);
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, socket_ends), 0);
    CHECK(signal(SIGUSR1, handler) != SIG_ERR);
    refuse();
    threads[0] = spawn(reads, &pipe_ends[0]);
    threads[1] = spawn(reads, &socket_ends[0]);
    threads[2] = spawn(writes, NULL);
    threads[3] = spawn(takes_turns, NULL);
    threads[4] = spawn(takes_turns, &turn);
    CHECK(pthread_kill(threads[0], SIGUSR1) == 0);
    CHECK_IS(poll(NULL, 0, 5), 0);
    for (int i = 0; i < 5; i++)
        join(threads[i]);
    CHECK_IS(turn, 2 * MESSAGES);
    CHECK_IS(handled, 1);
}

int main(void)
{
    for (group = 0; group < (int)(sizeof groups / sizeof *groups); group++)
        for (int i = 0; i < (int)(sizeof errors / sizeof *errors); i++) {
            error = errors[i];
            CHECK_IS(in_child(all), 0);
            say("%s refused with %s: all is done", groups[group].what, error_name(error));
        }
}
