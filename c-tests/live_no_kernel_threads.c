/* Once its threads exist, the kernel makes no more: clone answers EAGAIN, as under a limit of processes. Threads wait by instructions of
 * their own, in futexes and in a read, and another wakes them after a sleep: they share what kernel threads there are.
 * covers: usleep pthread_join
 * proof: green_threads>=7
 */
#include "inline.h"
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

enum { WAITERS = 4, READERS = 2 };

static atomic_int word, here;
static int ends[2];

static void refuse(int call)
{
    struct sock_filter lines[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, lines};
    CHECK_IS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_IS(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program), 0);
}

static void *waits(void *argument)
{
    here++;
    usleep(50000);
    while (!word) {
        long answer = INLINE(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, 0);
        CHECK(answer == 0 || answer == -EAGAIN || answer == -EINTR);
    }
    return argument;
}

static void *reads(void *argument)
{
    char byte;
    here++;
    usleep(50000);
    CHECK_IS(INLINE(SYS_read, ends[0], &byte, 1), 1);
    return argument;
}

static void *wakes(void *argument)
{
    here++;
    usleep(200000);
    word = 1;
    INLINE(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 100);
    CHECK_IS(write(ends[1], "xy", READERS), READERS);
    return argument;
}

int main(void)
{
    pthread_t threads[WAITERS + READERS + 1];
    CHECK_IS(pipe(ends), 0);
    for (int i = 0; i <= WAITERS + READERS; i++)
        threads[i] = spawn(i == 0 ? wakes : i <= WAITERS ? waits : reads, NULL);
    while (here <= WAITERS + READERS)
        usleep(1000);
    refuse(SYS_clone);
    refuse(SYS_clone3);
    for (int i = 0; i <= WAITERS + READERS; i++)
        join(threads[i]);
    say("woken");
    return 0;
}
