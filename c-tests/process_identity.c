/* User and group ids belong to the process: what one thread sets all threads have, whether they wait, compute or begin later.
 * covers: setuid setgid setreuid setregid setresuid setresgid seteuid setegid setgroups initgroups
 * proof: green_threads>=6 parks>=11 hooks.seteuid>=4
 */
#include "ctest.h"
#include <grp.h>
#include <semaphore.h>

static sem_t go, seen;
static atomic_bool stop;
static uid_t user;
static gid_t group;

/* The effective ids, as the kernel has them for whatever thread this is. */
static bool all_mine(void)
{
    return geteuid() == user && getegid() == group;
}

static void *waits(void *argument)
{
    for (int i = 0; i < 2; i++) {
        sem_wait(&go);
        CHECK(all_mine());
        sem_post(&seen);
    }
    return argument;
}

static void *computes(void *argument)
{
    volatile unsigned long count = 0;
    while (!stop)
        count++;
    CHECK(all_mine());
    return count ? argument : NULL;
}

static void *begins(void *argument)
{
    CHECK(all_mine());
    nap(1);
    CHECK(all_mine());
    return argument;
}

static void look(void)
{
    for (int i = 0; i < 3; i++)
        sem_post(&go);
    for (int i = 0; i < 3; i++)
        sem_wait(&seen);
    CHECK(all_mine());
    join(spawn(begins, NULL));
}

/* As another user, where this may be had, and back. */
static void change(void)
{
    uid_t own = geteuid(), other = own == 0 ? 65534 : own;
    CHECK_IS(seteuid(user = other), 0);
    look();
    CHECK_IS(seteuid(user = own), 0);
    look();
}

static void *changes(void *argument)
{
    change();
    return argument;
}

static void *same(void *argument)
{
    gid_t groups[256];
    int count = getgroups(256, groups);
    CHECK(count >= 0);
    CHECK_IS(setuid(getuid()), 0);
    CHECK_IS(setgid(getgid()), 0);
    CHECK_IS(setreuid(-1, -1), 0);
    CHECK_IS(setregid(-1, -1), 0);
    CHECK_IS(setresuid(-1, -1, -1), 0);
    CHECK_IS(setresgid(-1, -1, -1), 0);
    CHECK_IS(setegid(getegid()), 0);
    CHECK(setgroups(count, groups) == 0 || errno == EPERM);
    CHECK(initgroups("root", getgid()) == 0 || errno == EPERM);
    CHECK(setgroups(count, groups) == 0 || errno == EPERM);
    return argument;
}

int main(void)
{
    pthread_t waiting[3];
    user = geteuid();
    group = getegid();
    sem_init(&go, 0, 0);
    sem_init(&seen, 0, 0);
    pthread_t computing = spawn(computes, NULL);
    for (int i = 0; i < 3; i++)
        waiting[i] = spawn(waits, NULL);
    change();
    for (int i = 0; i < 3; i++)
        join(waiting[i]);
    say("set by main: everybody's");
    for (int i = 0; i < 3; i++)
        waiting[i] = spawn(waits, NULL);
    join(spawn(changes, NULL));
    for (int i = 0; i < 3; i++)
        join(waiting[i]);
    say("set by a thread: everybody's");
    stop = true;
    join(computing);
    join(spawn(same, NULL));
    CHECK(all_mine());
    say("the same ids once more: all ten calls");
    return 0;
}
