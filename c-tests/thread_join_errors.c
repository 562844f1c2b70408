/* What join, detach and the calls that take a pthread_t say of a thread that has ended and of oneself.
 * covers: pthread_join pthread_tryjoin_np pthread_timedjoin_np pthread_clockjoin_np pthread_detach pthread_kill pthread_cancel
 * covers: pthread_getname_np pthread_setname_np pthread_getcpuclockid pthread_getschedparam pthread_sigqueue
 * proof: green_threads>=2 parks>=1
 */
#include "ctest.h"

static void *ends(void *unused) { return unused; }

static void told(const char *call, int error)
{
    say("  %s: %s", call, error_name(error));
}

#define TELL(call) told(#call, call)

static const struct timespec past = {1, 0}, bad = {1, -1};

static void it_has_ended(void)
{
    char name[16];
    int policy;
    clockid_t clock;
    struct sched_param parameter;
    pthread_t thread = spawn(ends, NULL);
    for (int i = 0; i < 1000 && pthread_getcpuclockid(thread, &clock) == 0; i++)
        nap(1);
    nap(5);
    say("it has ended:");
    TELL(pthread_kill(thread, 0));
    TELL(pthread_kill(thread, SIGUSR1));
    TELL(pthread_kill(thread, 1000));
    TELL(pthread_sigqueue(thread, SIGUSR1, (union sigval){0}));
    TELL(pthread_cancel(thread));
    TELL(pthread_getcpuclockid(thread, &clock));
    TELL(pthread_getschedparam(thread, &policy, &parameter));
    TELL(pthread_getname_np(thread, name, sizeof name));
    TELL(pthread_setname_np(thread, "name"));
    TELL(pthread_timedjoin_np(thread, NULL, &bad));
}

static void oneself(void)
{
    pthread_t self = pthread_self();
    say("oneself:");
    TELL(pthread_join(self, NULL));
    TELL(pthread_tryjoin_np(self, NULL));
    TELL(pthread_timedjoin_np(self, NULL, &past));
    TELL(pthread_clockjoin_np(self, NULL, CLOCK_MONOTONIC, &past));
    TELL(pthread_clockjoin_np(self, NULL, CLOCK_PROCESS_CPUTIME_ID, &past));
    TELL(pthread_detach(self));
    TELL(pthread_detach(self));
    TELL(pthread_join(self, NULL));
}

int main(void)
{
    it_has_ended();
    pthread_t thread = spawn(ctest_call, &(void (*[1])(void)){oneself});
    nap(20);
    (void)thread;
    oneself();
    return 0;
}
