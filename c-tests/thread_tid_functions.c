/* What a tid names for libc's functions that take one, and that tell what all threads of a process have alike: by 0, by the caller's own
 * tid, by another's while it lives.
 * covers: getpgid __getpgid getsid setpgid prlimit prlimit64 process_vm_readv process_vm_writev capget capset pidfd_open kill
 * proof: green_threads>=2 parks>=2 hooks.getpgid>=3 hooks.prlimit>=5 hooks.capget>=2
 */
#include "ctest.h"
#include <linux/capability.h>
#include <semaphore.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/uio.h>

extern int capget(void *header, void *sets);
extern int capset(void *header, const void *sets);
extern pid_t __getpgid(pid_t pid);

static sem_t told, over;
static pid_t other;

static void *lives(void *argument)
{
    other = gettid();
    sem_post(&told);
    sem_wait(&over);
    return argument;
}

static void of(pid_t tid)
{
    struct rlimit limit, again;
    struct rlimit64 limit64;
    struct __user_cap_header_struct who = {_LINUX_CAPABILITY_VERSION_3, tid};
    struct __user_cap_data_struct rights[2];
    CHECK_IS(getpgid(tid), getpgrp());
    CHECK_IS(__getpgid(tid), getpgrp());
    CHECK_IS(getsid(tid), getsid(0));
    CHECK_IS(prlimit(tid, RLIMIT_NOFILE, NULL, &limit), 0);
    CHECK_IS(prlimit64(tid, RLIMIT_NOFILE, NULL, &limit64), 0);
    CHECK_IS(getrlimit(RLIMIT_NOFILE, &again), 0);
    CHECK(limit.rlim_cur == again.rlim_cur && limit64.rlim_cur == again.rlim_cur);
    CHECK_IS(prlimit(tid, RLIMIT_NOFILE, &again, NULL), 0);
    CHECK_IS(capget(&who, rights), 0);
    CHECK_IS(who.pid, tid);
    CHECK_IS(kill(tid, 0), 0);
    if (tid == gettid())
        CHECK_IS(capset(&who, rights), 0);
    CHECK_FAILS(setpgid(tid, 0), EINVAL);
    CHECK(pidfd_open(tid, 0) == -1);
    char from[8] = "memory", to[8] = "";
    struct iovec here = {to, 8}, there = {from, 8};
    if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 8) { /* a kernel may forbid it */
        to[0] = 0;
        CHECK_IS(process_vm_readv(tid, &here, 1, &there, 1, 0), 8);
        CHECK(strcmp(to, "memory") == 0);
        from[0] = 'M';
        CHECK_IS(process_vm_writev(tid, &there, 1, &here, 1, 0), 8);
        CHECK(strcmp(to, "Memory") == 0);
    }
}

static void all(void)
{
    pthread_t thread = spawn(lives, NULL);
    sem_wait(&told);
    of(other);
    say("another thread");
    of(gettid());
    say("the caller itself");
    int process = pidfd_open(getpid(), 0);
    CHECK(process >= 0);
    close(process);
    sem_post(&over);
    join(thread);
    nap(10); /* natively the kernel takes a moment to forget it */
    CHECK_FAILS(getpgid(other), ESRCH);
    CHECK_FAILS(getsid(other), ESRCH);
    CHECK_FAILS(prlimit(other, RLIMIT_NOFILE, NULL, NULL), ESRCH);
    CHECK_FAILS(kill(other, 0), ESRCH);
    say("when it has ended: ESRCH");
}

int main(void)
{
    sem_init(&told, 0, 0);
    sem_init(&over, 0, 0);
    in_thread(all);
    return 0;
}
