/* Thread calls given bad attributes, values, names, sizes and ids answer as libc does.
 * covers: pthread_create pthread_join pthread_setcancelstate pthread_setcanceltype pthread_setname_np pthread_getname_np
 * covers: pthread_setaffinity_np pthread_getaffinity_np sched_setaffinity sched_getaffinity pthread_setschedparam pthread_setschedprio
 * covers: pthread_key_delete sched_setscheduler sched_getscheduler sched_setparam sched_getparam setpriority getpriority thrd_join
 * proof: green_threads>=4
 * no_park: only main waits, for threads that may have ended before it asks
 * passes: sched_getscheduler setpriority getpriority: only tids and kinds that name no thread of the program's are given
 */
#include "bad.h"
#include <sched.h>
#include <sys/resource.h>
#include <threads.h>

static void *ends(void *argument)
{
    return argument;
}

static void attributes(void)
{
    pthread_attr_t attribute;
    pthread_t thread;
    struct sched_param high = {.sched_priority = 1}, bad = {.sched_priority = 1000};
    cpu_set_t no_processor;
    CPU_ZERO(&no_processor);
    CHECK_IS(pthread_attr_init(&attribute), 0);
    TRY_ERROR(pthread_attr_setstacksize(&attribute, PTHREAD_STACK_MIN - 1));
    TRY_ERROR(pthread_attr_setstack(&attribute, mapped(), 4096));
    TRY_ERROR(pthread_attr_setdetachstate(&attribute, 99));
    TRY_ERROR(pthread_attr_setinheritsched(&attribute, 99));
    TRY_ERROR(pthread_attr_setschedpolicy(&attribute, 99));
    TRY_ERROR(pthread_attr_setschedparam(&attribute, &bad));
    TRY_ERROR(pthread_attr_setscope(&attribute, 99));

    CHECK_IS(pthread_attr_setinheritsched(&attribute, PTHREAD_EXPLICIT_SCHED), 0);
    CHECK_IS(pthread_attr_setschedpolicy(&attribute, SCHED_OTHER), 0);
    TRY_ERROR(pthread_attr_setschedparam(&attribute, &high));
    CHECK_IS(pthread_attr_init(&attribute), 0);
    CHECK_IS(pthread_attr_setaffinity_np(&attribute, sizeof no_processor, &no_processor), 0);
    TRY_ERROR(pthread_create(&thread, &attribute, ends, NULL));
    CHECK_IS(pthread_attr_init(&attribute), 0);
    CHECK_IS(pthread_attr_setstacksize(&attribute, (size_t)1 << 46), 0);
    TRY_ERROR(pthread_create(&thread, &attribute, ends, NULL));
    CHECK_IS(pthread_attr_init(&attribute), 0);
    CHECK_IS(pthread_attr_setstacksize(&attribute, 64 << 10), 0);
    CHECK_IS(pthread_attr_setguardsize(&attribute, 64 << 10), 0);
    TRY_ERROR(pthread_create(&thread, &attribute, ends, NULL));
}

static void values(void)
{
    int old = 77;
    char name[16];
    pthread_t self = pthread_self();
    TRY_ERROR(pthread_setcancelstate(99, &old));
    TRY_ERROR(pthread_setcanceltype(-1, &old));
    TRY(old);
    TRY_ERROR(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
    TRY_ERROR(pthread_setname_np(self, "sixteen letters!"));
    TRY_ERROR(pthread_getname_np(self, name, 0));
    TRY_ERROR(pthread_getname_np(self, name, 15));
    TRY_ERROR(pthread_join(self, NULL));
    TRY(thrd_join(self, NULL) == thrd_error);
    TRY_ERROR(pthread_key_delete(PTHREAD_KEYS_MAX));
    TRY_ERROR(pthread_key_delete(PTHREAD_KEYS_MAX - 1));
    TRY_ERROR(pthread_setspecific(PTHREAD_KEYS_MAX, &old));
    TRY(pthread_getspecific(PTHREAD_KEYS_MAX) == NULL);
}

static void processors(void)
{
    cpu_set_t set;
    pthread_t self = pthread_self();
    CPU_ZERO(&set);
    TRY_ERROR(pthread_setaffinity_np(self, sizeof set, &set));
    TRY_ERROR(pthread_setaffinity_np(self, 0, &set));
    TRY_ERROR(pthread_setaffinity_np(self, sizeof set, (void *)unmapped()));
    TRY_ERROR(pthread_getaffinity_np(self, 1, &set));
    TRY_ERROR(pthread_getaffinity_np(self, sizeof set, (void *)unmapped()));
    TRY(sched_setaffinity(0, sizeof set, &set));
    TRY(sched_setaffinity(none, sizeof set, &set));
    TRY(sched_setaffinity(0, sizeof set, null));
    TRY(sched_getaffinity(0, 1, &set));
    TRY(sched_getaffinity(none, sizeof set, &set));
    TRY(sched_getaffinity(0, sizeof set, null));
}

static void scheduling(void)
{
    struct sched_param zero = {0}, negative = {-1}, huge = {1000};
    pthread_t self = pthread_self();
    TRY_ERROR(pthread_setschedparam(self, 99, &zero));
    TRY_ERROR(pthread_setschedparam(self, SCHED_OTHER, &huge));
    TRY_ERROR(pthread_setschedparam(self, SCHED_FIFO, &zero));
    TRY_ERROR(pthread_setschedprio(self, 1));
    TRY_ERROR(pthread_setschedprio(self, -1));
    TRY(sched_setscheduler(0, 99, &zero));
    TRY(sched_setscheduler(0, SCHED_OTHER, &huge));
    TRY(sched_setscheduler(none, SCHED_OTHER, &zero));
    TRY(sched_setscheduler(0, SCHED_OTHER, null));
    TRY(sched_getscheduler(none));
    TRY(sched_setparam(0, &negative));
    TRY(sched_setparam(0, null));
    TRY(sched_getparam(0, null));
    TRY(sched_getparam(none, &zero));
    TRY(getpriority(99, 0));
    TRY(setpriority(99, 0, 0));
    TRY(setpriority(PRIO_PROCESS, INT_MAX, 0));
    TRY(getpriority(PRIO_PROCESS, INT_MAX));
}

int main(void)
{
    in_thread(attributes);
    in_thread(values);
    in_thread(processors);
    in_thread(scheduling);
    return 0;
}
