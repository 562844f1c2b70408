/* A thread that libc makes by itself, for a timer's function, names others by their tid and by their pthread_t: what it sets is theirs, and
 * what it is told is what they set.
 * covers: sched_setaffinity sched_getaffinity sched_setscheduler sched_getscheduler sched_setparam sched_getparam sched_rr_get_interval
 *         setpriority getpriority clock_gettime clock_getres kill tgkill pthread_getcpuclockid
 * proof: green_threads>=1 parks>=1 hooks.getpriority>=3 hooks.sched_getaffinity>=2
 * cflags: -lrt
 */
#include "ctest.h"
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static sem_t told, changed, done;
static pid_t other;
static clockid_t clock_of_other;
static cpu_set_t one;
static int usual;

static void *lives(void *argument)
{
    cpu_set_t own;
    other = gettid();
    CHECK_IS(pthread_getcpuclockid(pthread_self(), &clock_of_other), 0);
    CHECK_IS(setpriority(PRIO_PROCESS, 0, usual + 3), 0);
    CHECK_IS(sched_getaffinity(0, sizeof own, &own), 0);
    for (int i = 0; CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &own))
            CPU_SET(i, &one);
    sem_post(&told);
    sem_wait(&changed);
    CHECK_IS(getpriority(PRIO_PROCESS, 0), usual + 5);
    CHECK_IS(sched_getscheduler(0), SCHED_BATCH);
    CHECK_IS(sched_getaffinity(0, sizeof own, &own), 0);
    CHECK(CPU_EQUAL(&own, &one));
    sem_post(&told);
    return argument;
}

static void fire(union sigval unused)
{
    struct sched_param param = {0};
    struct timespec time;
    cpu_set_t set;
    (void)unused;
    CHECK_IS(getpriority(PRIO_PROCESS, other), usual + 3);
    CHECK_IS(syscall(SYS_getpriority, PRIO_PROCESS, other), 17 - usual);
    CHECK_IS(setpriority(PRIO_PROCESS, other, usual + 5), 0);
    CHECK_IS(getpriority(PRIO_PROCESS, other), usual + 5);
    CHECK_IS(getpriority(PRIO_PROCESS, 0), usual);
    say("nice values");
    CHECK_IS(sched_getscheduler(other), SCHED_OTHER);
    CHECK_IS(sched_setscheduler(other, SCHED_BATCH, &param), 0);
    CHECK_IS(sched_getscheduler(other), SCHED_BATCH);
    CHECK_IS(sched_getscheduler(0), SCHED_OTHER);
    CHECK_IS(sched_setparam(other, &param), 0);
    CHECK_IS(sched_getparam(other, &param), 0);
    CHECK_IS(param.sched_priority, 0);
    CHECK_IS(sched_rr_get_interval(other, &time), 0);
    CHECK_FAILS(sched_setscheduler(other, 99, &param), EINVAL);
    CHECK_FAILS(sched_getparam(other, NULL), EINVAL);
    say("policies");
    CHECK_IS(sched_setaffinity(other, sizeof one, &one), 0);
    CHECK_IS(sched_getaffinity(other, sizeof set, &set), 0);
    CHECK(CPU_EQUAL(&set, &one));
    CHECK(syscall(SYS_sched_getaffinity, other, sizeof set, &set) > 0);
    CHECK_FAILS(sched_getaffinity(other, sizeof set, (void *)8), EFAULT);
    say("processors");
    CHECK_IS(clock_gettime(clock_of_other, &time), 0);
    CHECK(time.tv_sec < 10);
    CHECK_IS(clock_getres(clock_of_other, &time), 0);
    say("its clock");
    CHECK_IS(kill(other, 0), 0);
    CHECK_IS(tgkill(getpid(), other, 0), 0);
    CHECK_IS(syscall(SYS_tgkill, getpid(), other, 0), 0);
    CHECK_IS(syscall(SYS_kill, other, 0), 0);
    say("signals");
    sem_post(&done);
}

static void of_nobody(union sigval unused)
{
    struct timespec time;
    (void)unused;
    CHECK_FAILS(getpriority(PRIO_PROCESS, other), ESRCH);
    CHECK_FAILS(sched_getscheduler(other), ESRCH);
    CHECK_FAILS(sched_setaffinity(other, sizeof one, &one), ESRCH);
    CHECK_FAILS(clock_gettime(clock_of_other, &time), EINVAL);
    CHECK_FAILS(kill(other, 0), ESRCH);
    CHECK_FAILS(syscall(SYS_tgkill, getpid(), other, 0), ESRCH);
    say("of nobody");
    sem_post(&done);
}

static void in_thread_of_libc(void (*function)(union sigval))
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = function};
    struct itimerspec soon = {.it_value.tv_nsec = 1000000};
    CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    CHECK_IS(timer_settime(timer, 0, &soon, NULL), 0);
    CHECK_IS(sem_wait(&done), 0);
    timer_delete(timer);
}

int main(void)
{
    pthread_t thread;
    usual = getpriority(PRIO_PROCESS, 0);
    sem_init(&told, 0, 0);
    sem_init(&changed, 0, 0);
    sem_init(&done, 0, 0);
    thread = spawn(lives, NULL);
    sem_wait(&told);
    in_thread_of_libc(fire);
    sem_post(&changed);
    sem_wait(&told);
    join(thread);
    nap(10); /* natively the kernel takes a moment to forget it */
    in_thread_of_libc(of_nobody);
    return 0;
}
