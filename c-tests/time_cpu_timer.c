/* Timers on threads' CPU clocks: of another thread and of the own one, once and again, by signal, to a thread, to a function, polled;
 * a sleep by another thread's CPU clock; by libc's functions and by number. Who sleeps meanwhile uses nothing: its timer stays.
 * covers: timer_create timer_delete timer_settime timer_gettime pthread_getcpuclockid clock_nanosleep clock_gettime syscall
 * proof: green_threads>=4 parks>=5 hooks.timer_create>=4 hooks.timer_settime>=5 hooks.timer_gettime>=3 kernel_threads_peak<=8
 * passes: timer_delete: the library forgets the timer, and the kernel deletes it
 * processors: 4
 */
#include "ctest.h"
#include <semaphore.h>
#include <sys/syscall.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { MS = 1000000 };

static atomic_bool stop;
static atomic_int fired[4];
static __thread volatile int fired_here;
static sem_t expired, ready;

static void on_timer(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    CHECK_IS(info->si_code, SI_TIMER);
    fired[info->si_value.sival_int]++;
    fired_here++;
}

static void expires(union sigval value)
{
    sem_post(value.sival_ptr);
}

static void *sleeps(void *argument)
{
    while (!stop)
        nap(5);
    return argument;
}

static void *computes(void *argument)
{
    sem_post(&ready);
    while (!stop)
        for (volatile int i = 0; i < 100000; i++)
            ;
    return argument;
}

static long long left_ns(timer_t timer)
{
    struct itimerspec now;
    CHECK_IS(timer_gettime(timer, &now), 0);
    return now.it_value.tv_sec * 1000000000LL + now.it_value.tv_nsec;
}

static void arm(timer_t timer, int first_ms, int then_ms)
{
    struct itimerspec times = {.it_value = {0, (long)first_ms * MS}, .it_interval = {0, (long)then_ms * MS}};
    CHECK_IS(timer_settime(timer, 0, &times, NULL), 0);
}

static timer_t watch(pthread_t thread, int number)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = number};
    clockid_t clock;
    timer_t timer;
    CHECK_IS(pthread_getcpuclockid(thread, &clock), 0);
    CHECK_IS(timer_create(clock, &event, &timer), 0);
    return timer;
}

static void others(pthread_t idle, pthread_t busy)
{
    timer_t sleeper = watch(idle, 0), once = watch(busy, 1), again = watch(busy, 2);
    arm(sleeper, 100, 0);
    arm(once, 20, 0);
    arm(again, 10, 10);
    long long begin = now_ms();
    while (fired[1] < 1 || fired[2] < 3)
        nap(1);
    CHECK(now_ms() >= begin + 20);
    CHECK_IS(fired[0], 0);
    CHECK_IS(left_ns(once), 0);
    CHECK(left_ns(again) > 0 && left_ns(again) <= 10 * MS);
    CHECK(left_ns(sleeper) > 50 * MS && left_ns(sleeper) <= 100 * MS);
    arm(again, 0, 0);
    nap(10);
    int before = fired[2];
    nap(40);
    CHECK_IS(fired[2], before);
    CHECK_IS(fired[1], 1);
    CHECK_FAILS(timer_settime(once, 0, &(struct itimerspec){.it_value = {0, -1}}, NULL), EINVAL);
    CHECK_FAILS(timer_settime(once, 0, NULL, NULL), EINVAL);
    CHECK_IS(timer_delete(sleeper), 0);
    CHECK_IS(timer_delete(once), 0);
    CHECK_IS(timer_delete(again), 0);
    CHECK_FAILS(timer_settime(once, 0, &(struct itimerspec){0}, NULL), EINVAL);
    say("by signal: who computes, once and again; not who sleeps");
}

static void by_function(pthread_t busy)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = expires, .sigev_value.sival_ptr = &expired};
    clockid_t clock;
    timer_t timer;
    CHECK_IS(pthread_getcpuclockid(busy, &clock), 0);
    CHECK_IS(timer_create(clock, &event, &timer), 0);
    arm(timer, 10, 0);
    CHECK_IS(sem_wait(&expired), 0);
    CHECK_IS(timer_delete(timer), 0);
    say("by a function on a thread of libc's");
}

static void *to_itself(void *unused)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 3};
    struct itimerspec times = {.it_value = {0, 10 * MS}}, was;
    int timer = -1;
    event.sigev_notify_thread_id = gettid();
    CHECK_IS(syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, &event, &timer), 0);
    CHECK_IS(syscall(SYS_timer_settime, timer, 0, &times, NULL), 0);
    CHECK_IS(syscall(SYS_timer_settime, timer, 0, &times, &was), 0);
    CHECK(was.it_value.tv_nsec > 0 && was.it_value.tv_nsec <= 10 * MS);
    nap(30);
    CHECK_IS(fired[3], 0);
    while (!fired_here)
        ;
    CHECK_IS(fired[3], 1);
    CHECK_IS(syscall(SYS_timer_gettime, timer, &was), 0);
    CHECK_IS(was.it_value.tv_nsec, 0);
    struct timespec used, at;
    CHECK_IS(syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &used), 0);
    CHECK(used.tv_sec > 0 || used.tv_nsec >= 10 * MS);
    /* A moment of that clock that has passed. */
    times.it_value = (struct timespec){0, 1};
    CHECK_IS(syscall(SYS_timer_settime, timer, TIMER_ABSTIME, &times, NULL), 0);
    while (fired_here < 2)
        ;
    CHECK_IS(syscall(SYS_timer_delete, timer), 0);
    CHECK(syscall(SYS_timer_gettime, timer, &was) == -1 && errno == EINVAL);
    CHECK_IS(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &(struct timespec){0, 1}, NULL), EINVAL);
    CHECK(syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, 8) == -1 && errno == EFAULT);
    CHECK_IS(syscall(SYS_clock_getres, CLOCK_THREAD_CPUTIME_ID, &at), 0);
    return unused;
}

static void sleep_by_clock(pthread_t busy)
{
    clockid_t clock;
    struct timespec begin, end;
    CHECK_IS(pthread_getcpuclockid(busy, &clock), 0);
    CHECK_IS(clock_gettime(clock, &begin), 0);
    CHECK_IS(clock_nanosleep(clock, 0, &(struct timespec){0, 20 * MS}, NULL), 0);
    CHECK_IS(clock_gettime(clock, &end), 0);
    CHECK((end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec >= 20 * MS);
    CHECK_IS(clock_nanosleep(clock, TIMER_ABSTIME, &begin, NULL), 0);
    CHECK_IS(clock_nanosleep(clock, 0, &(struct timespec){0, -1}, NULL), EINVAL);
    say("a sleep by another's clock");
}

static void all(void)
{
    pthread_t idle = spawn(sleeps, NULL), busy = spawn(computes, NULL);
    sem_wait(&ready);
    others(idle, busy);
    by_function(busy);
    sleep_by_clock(busy);
    join(spawn(to_itself, NULL));
    say("by number, to itself");
    stop = true;
    join(idle);
    join(busy);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sem_init(&expired, 0, 0);
    sem_init(&ready, 0, 0);
    in_thread(all);
    return 0;
}
