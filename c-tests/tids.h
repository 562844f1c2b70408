/* Calls by number that take a tid: for the caller itself by 0 and by its gettid(), for another thread while it lives, for nobody.
 * Who includes it defines CALL(number, ...), which gives the kernel's answer: a result, or the negated error. */
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/ioprio.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/uio.h>

static sem_t tids_told, tids_over;
static pid_t tids_other;

struct attributes { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t times[3]; uint32_t clamps[2]; };

static void *tids_lives(void *argument)
{
    tids_other = gettid();
    sem_post(&tids_told);
    sem_wait(&tids_over);
    return argument;
}

/* The same for the caller by 0, by its own tid, and for another. */
static void tids_told_of(const char *name, long zero, long own, long other)
{
    CHECK(zero >= 0);
    CHECK_IS(own, zero);
    CHECK_IS(other, zero);
    say("%s: by 0, by its own tid, another's", name);
}

static long attributes_of(pid_t tid, struct attributes *to)
{
    *to = (struct attributes){0};
    return CALL(SYS_sched_getattr, tid, to, sizeof *to, 0);
}

static void tids_attributes(pid_t own)
{
    struct attributes mine, told;
    CHECK_IS(attributes_of(0, &mine), 0);
    tids_told_of("sched_setattr", CALL(SYS_sched_setattr, 0, &mine, 0), CALL(SYS_sched_setattr, own, &mine, 0),
                 CALL(SYS_sched_setattr, tids_other, &mine, 0));
    mine.nice++;
    mine.policy = SCHED_BATCH;
    CHECK_IS(CALL(SYS_sched_setattr, own, &mine, 0), 0);
    CHECK_IS(attributes_of(own, &told), 0);
    CHECK(told.policy == SCHED_BATCH && told.nice == mine.nice && told.size == sizeof told);
    CHECK_IS(CALL(SYS_sched_getscheduler, own), SCHED_BATCH);
    CHECK_IS(CALL(SYS_getpriority, PRIO_PROCESS, 0), 20 - mine.nice);
    CHECK_IS(attributes_of(tids_other, &told), 0);
    CHECK(told.policy == SCHED_OTHER && told.nice == mine.nice - 1);
    /* SCHED_FLAG_KEEP_POLICY, SCHED_FLAG_KEEP_PARAMS, SCHED_FLAG_RESET_ON_FORK */
    told = (struct attributes){.size = 48, .policy = SCHED_OTHER, .flags = 8 | 16 | 1};
    CHECK_IS(CALL(SYS_sched_setattr, own, &told, 0), 0);
    CHECK_IS(attributes_of(own, &told), 0);
    CHECK(told.policy == SCHED_BATCH && told.nice == mine.nice && told.flags == 0);
    told = (struct attributes){.size = 48, .policy = SCHED_BATCH, .flags = 16 | 1};
    CHECK_IS(CALL(SYS_sched_setattr, own, &told, 0), 0);
    CHECK_IS(attributes_of(own, &told), 0);
    CHECK(told.policy == SCHED_BATCH && told.nice == mine.nice && told.flags == 1);
    CHECK_IS(CALL(SYS_sched_getattr, own, &told, 48, 0), 0);
    say("sched_getattr: what was set, of each its own");
    CHECK_IS(CALL(SYS_sched_getattr, own, &told, 47, 0), -EINVAL);
    CHECK_IS(CALL(SYS_sched_getattr, own, NULL, 48, 0), -EINVAL);
    CHECK_IS(CALL(SYS_sched_getattr, own, &told, 48, 1), -EINVAL);
    CHECK_IS(CALL(SYS_sched_setattr, own, 8, 0), -EFAULT);
    CHECK_IS(CALL(SYS_sched_setattr, own, &told, 1), -EINVAL);
    CHECK_IS(CALL(SYS_sched_setattr, -1, &told, 0), -EINVAL);
    told.policy = 99;
    told.flags = 0;
    CHECK_IS(CALL(SYS_sched_setattr, own, &told, 0), -EINVAL);
    say("sched_setattr: bad input");
}

static void tids_lists(pid_t own)
{
    struct robust_list_head *lists[3] = {0}, one = {{&one.list}, 0, NULL}, *told;
    pid_t whose[] = {0, own, tids_other};
    for (int i = 0; i < 3; i++) {
        size_t size = 0;
        CHECK_IS(CALL(SYS_get_robust_list, whose[i], &lists[i], &size), 0);
        CHECK(size == sizeof one && lists[i]);
    }
    CHECK(lists[0] == lists[1] && lists[1] != lists[2]);
    size_t size;
    CHECK_IS(CALL(SYS_set_robust_list, &one, sizeof one), 0);
    CHECK_IS(CALL(SYS_get_robust_list, 0, &told, &size), 0);
    CHECK(told == &one);
    CHECK_IS(CALL(SYS_set_robust_list, lists[0], sizeof one), 0);
    CHECK_IS(CALL(SYS_get_robust_list, own, &told, &size), 0);
    CHECK(told == lists[0]);
    CHECK_IS(CALL(SYS_set_robust_list, &one, sizeof one - 1), -EINVAL);
    CHECK_IS(CALL(SYS_get_robust_list, 0, 8, &size), -EFAULT);
    CHECK_IS(CALL(SYS_get_robust_list, 0, &told, 8), -EFAULT);
    say("robust lists: each its own, and what was set");
}

static void tids_of_process(pid_t own)
{
    struct rlimit limit;
    struct __user_cap_header_struct who[3] = {{_LINUX_CAPABILITY_VERSION_3, 0}, {_LINUX_CAPABILITY_VERSION_3, own},
                                              {_LINUX_CAPABILITY_VERSION_3, tids_other}};
    struct __user_cap_data_struct rights[3][2];
    long results[3];
    for (int i = 0; i < 3; i++)
        results[i] = CALL(SYS_capget, &who[i], rights[i]);
    tids_told_of("capget", results[0], results[1], results[2]);
    CHECK(memcmp(rights[0], rights[1], sizeof rights[0]) == 0 && memcmp(rights[0], rights[2], sizeof rights[0]) == 0);
    who[1].version = 1;
    CHECK_IS(CALL(SYS_capget, &who[1], rights[0]), -EINVAL);
    CHECK(who[1].version == _LINUX_CAPABILITY_VERSION_3 && who[1].pid == own);
    tids_told_of("getpgid", CALL(SYS_getpgid, 0), CALL(SYS_getpgid, own), CALL(SYS_getpgid, tids_other));
    tids_told_of("getsid", CALL(SYS_getsid, 0), CALL(SYS_getsid, own), CALL(SYS_getsid, tids_other));
    tids_told_of("prlimit64", CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit), CALL(SYS_prlimit64, own, RLIMIT_NOFILE, NULL, &limit),
                 CALL(SYS_prlimit64, tids_other, RLIMIT_NOFILE, NULL, &limit));
    tids_told_of("ioprio_get", CALL(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0), CALL(SYS_ioprio_get, IOPRIO_WHO_PROCESS, own),
                 CALL(SYS_ioprio_get, IOPRIO_WHO_PROCESS, tids_other));
    CHECK_IS(CALL(SYS_setpgid, own, 0), -EINVAL);
    CHECK_IS(CALL(SYS_setpgid, tids_other, 0), -EINVAL);
    long none = CALL(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0); /* a kernel may be built without it */
    CHECK_IS(CALL(SYS_kcmp, own, tids_other, KCMP_VM, 0, 0), none);
    char from[8] = "memory", to[8] = "";
    struct iovec here = {to, 8}, there = {from, 8};
    long read = CALL(SYS_process_vm_readv, getpid(), &here, 1, &there, 1, 0); /* or forbid it */
    CHECK_IS(CALL(SYS_process_vm_readv, own, &here, 1, &there, 1, 0), read);
    CHECK_IS(CALL(SYS_process_vm_writev, tids_other, &there, 1, &here, 1, 0), read);
    CHECK(read < 0 || strcmp(to, "memory") == 0);
    void *page = from;
    int node = -1;
    long moved = CALL(SYS_move_pages, 0, 1, &page, NULL, &node, 0);
    CHECK_IS(CALL(SYS_move_pages, own, 1, &page, NULL, &node, 0), moved);
    CHECK_IS(CALL(SYS_move_pages, tids_other, 1, &page, NULL, &node, 0), moved);
    CHECK(CALL(SYS_pidfd_open, own, 0) < 0);
    say("the rest, alike for all threads");
}

static volatile int tids_got;
static __thread volatile int tids_here;

static void tids_on_signal(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    tids_got = info->si_value.sival_int;
    tids_here++;
}

static void tids_signals(pid_t own)
{
    struct sigaction action = {.sa_sigaction = tids_on_signal, .sa_flags = SA_SIGINFO};
    siginfo_t info = {.si_code = SI_QUEUE};
    sigaction(SIGUSR1, &action, NULL);
    info.si_value.sival_int = 7;
    CHECK_IS(CALL(SYS_rt_tgsigqueueinfo, getpid(), own, SIGUSR1, &info), 0);
    CHECK(tids_got == 7 && tids_here == 1);
    info.si_code = SI_USER;
    info.si_value.sival_int = 8;
    CHECK_IS(CALL(SYS_rt_tgsigqueueinfo, getpid(), own, SIGUSR1, &info), 0);
    CHECK(tids_got == 8 && tids_here == 2);
    CHECK_IS(CALL(SYS_rt_tgsigqueueinfo, getpid(), tids_other, SIGUSR1, &info), -EPERM);
    CHECK_IS(CALL(SYS_rt_tgsigqueueinfo, getpid(), own, 65, &info), -EINVAL);
    CHECK_IS(CALL(SYS_rt_tgsigqueueinfo, getpid(), own, SIGUSR1, 8), -EFAULT);
    CHECK_IS(CALL(SYS_rt_tgsigqueueinfo, getpid(), tids_other, 0, &(siginfo_t){.si_code = SI_QUEUE}), 0);
    CHECK_IS(CALL(SYS_rt_sigqueueinfo, tids_other, 0, &(siginfo_t){.si_code = SI_QUEUE}), 0);
    CHECK_IS(CALL(SYS_tkill, own, SIGUSR1), 0);
    CHECK_IS(tids_here, 3);
    CHECK_IS(CALL(SYS_tgkill, getpid(), own, SIGUSR1), 0);
    CHECK_IS(tids_here, 4);
    CHECK_IS(CALL(SYS_kill, tids_other, 0), 0);
    say("signals: its own, and no pretending to others");
}

static void tids_of_nobody(pid_t nobody)
{
    struct attributes told = {.size = 48};
    struct rlimit limit;
    struct __user_cap_header_struct who = {_LINUX_CAPABILITY_VERSION_3, nobody};
    struct __user_cap_data_struct rights[2];
    void *head;
    size_t size;
    CHECK_IS(CALL(SYS_sched_getattr, nobody, &told, 48, 0), -ESRCH);
    CHECK_IS(CALL(SYS_sched_setattr, nobody, &told, 0), -ESRCH);
    CHECK_IS(CALL(SYS_get_robust_list, nobody, &head, &size), -ESRCH);
    CHECK_IS(CALL(SYS_capget, &who, rights), -ESRCH);
    CHECK_IS(CALL(SYS_getpgid, nobody), -ESRCH);
    CHECK_IS(CALL(SYS_getsid, nobody), -ESRCH);
    CHECK_IS(CALL(SYS_prlimit64, nobody, RLIMIT_NOFILE, NULL, &limit), -ESRCH);
    CHECK_IS(CALL(SYS_ioprio_get, IOPRIO_WHO_PROCESS, nobody), -ESRCH);
    CHECK_IS(CALL(SYS_tkill, nobody, 0), -ESRCH);
    CHECK_IS(CALL(SYS_rt_tgsigqueueinfo, getpid(), nobody, 0, &(siginfo_t){.si_code = SI_QUEUE}), -ESRCH);
    say("of nobody: ESRCH");
}

/* A word in the list that holds the thread's tid when it ends is marked as its dead owner's. */
static struct { struct robust_list link; unsigned word; } tids_lock;

static void *tids_dies(void *unused)
{
    struct robust_list_head *head = malloc(sizeof *head);
    *head = (struct robust_list_head){{&tids_lock.link}, (char *)&tids_lock.word - (char *)&tids_lock.link, NULL};
    tids_lock.link.next = &head->list;
    tids_lock.word = CALL(SYS_gettid);
    CHECK_IS(CALL(SYS_set_robust_list, head, sizeof *head), 0);
    return unused;
}

/* Detached, for natively the kernel then zeroes another word at its end than the one that a join waits for. */
static sem_t tids_address_told;

static void *tids_addressed(void *unused)
{
    static int word;
    pthread_detach(pthread_self());
    CHECK_IS(CALL(SYS_set_tid_address, &word), CALL(SYS_gettid));
    sem_post(&tids_address_told);
    return unused;
}

static void tids_all(void)
{
    pid_t own = CALL(SYS_gettid);
    pthread_t other = spawn(tids_lives, NULL);
    sem_wait(&tids_told);
    tids_attributes(own);
    tids_lists(own);
    tids_of_process(own);
    tids_signals(own);
    sem_post(&tids_over);
    join(other);
    nap(10); /* natively the kernel takes a moment to forget it */
    tids_of_nobody(tids_other);
    join(spawn(tids_dies, NULL));
    nap(10);
    CHECK(tids_lock.word & FUTEX_OWNER_DIED);
    say("its own robust list is walked at its end");
    spawn(tids_addressed, NULL);
    sem_wait(&tids_address_told);
}
