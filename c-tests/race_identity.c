/* User and group ids are set hundreds of times while kernel threads come and go: threads stand in calls of their own for a moment, so that
 * others serve meanwhile, and rest afterwards; threads are born and end on a stack of the program's. Who sets ids signals each kernel
 * thread and waits for all: none may take the signal with it.
 * covers: setuid setreuid seteuid setgid setresgid setegid
 * proof: green_threads>=21 parks>=300 hooks.setuid>=10 hooks.setreuid>=10 hooks.setgid>=10 hooks.setresgid>=10 hand_overs>=20
 *   kernel_threads_peak<=40
 * processors: 4
 */
#include "inline.h"

enum { AT_LEAST = 10, TIMES = 200, MILLISECONDS = 1500, STANDERS = 12, GROUPS = 6 };

static atomic_bool stop;
static long long end_ms;

/* Stands in the kernel for longer than its processor waits, then lets others run there. */
static void *stands(void *number)
{
    struct timespec time = {.tv_nsec = 700000 + (intptr_t)number * 150000};
    while (!stop) {
        INLINE(SYS_nanosleep, &time, NULL);
        usleep(100 * ((intptr_t)number % 4));
    }
    return NULL;
}

static void *nothing(void *argument)
{
    return argument;
}

/* Makes threads on a stack of its own, which must be gone when they are joined. */
static void *creates(void *unused)
{
    static char stack[256 << 10] __attribute__((aligned(4096)));
    pthread_attr_t attributes;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstack(&attributes, stack, sizeof stack), 0);
    while (!stop) {
        pthread_t thread;
        CHECK_IS(pthread_create(&thread, &attributes, nothing, NULL), 0);
        join(thread);
    }
    return unused;
}

/* Hundreds of times, or as many as a slow machine gets done. */
static bool goes_on(int times)
{
    return times < AT_LEAST || (times < TIMES && now_ms() < end_ms);
}

/* The same ids; another effective user now and then, where that may be. */
static void *sets_users(void *argument)
{
    uid_t own = geteuid(), other = own == 0 ? 65534 : own;
    for (int i = 0; goes_on(i); i++) {
        CHECK_IS(setuid(getuid()), 0);
        CHECK_IS(setreuid(-1, -1), 0);
        CHECK_IS(seteuid(i % 4 ? own : other), 0);
        CHECK_IS(geteuid(), i % 4 ? own : other);
        CHECK_IS(seteuid(own), 0);
    }
    return argument;
}

static void *sets_groups(void *argument)
{
    for (int i = 0; goes_on(i); i++) {
        CHECK_IS(setgid(getgid()), 0);
        CHECK_IS(setresgid(-1, -1, -1), 0);
        CHECK_IS(setegid(getegid()), 0);
    }
    return argument;
}

int main(void)
{
    pthread_t standers[STANDERS], groups[GROUPS];
    end_ms = now_ms() + MILLISECONDS;
    for (intptr_t i = 0; i < STANDERS; i++)
        standers[i] = spawn(stands, (void *)i);
    pthread_t creator = spawn(creates, NULL), users = spawn(sets_users, NULL);
    for (int i = 0; i < GROUPS; i++)
        groups[i] = spawn(sets_groups, NULL);
    join(users);
    for (int i = 0; i < GROUPS; i++)
        join(groups[i]);
    stop = true;
    for (int i = 0; i < STANDERS; i++)
        join(standers[i]);
    join(creator);
    say("users and groups: set");
    return 0;
}
