/* pthread_getattr_np tells the truth about running threads: stack bounds around a local variable, guard size, detach state, for main too.
 * covers: pthread_getattr_np pthread_detach
 * proof: green_threads>=4 hooks.pthread_getattr_np>=5
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"
#include <semaphore.h>

struct told { size_t stack_bytes, guard_bytes; int detach_state; };

static struct told ask(pthread_t thread, void *inside)
{
    pthread_attr_t attributes;
    struct told told;
    void *low;
    CHECK_IS(pthread_getattr_np(thread, &attributes), 0);
    CHECK_IS(pthread_attr_getstack(&attributes, &low, &told.stack_bytes), 0);
    CHECK_IS(pthread_attr_getguardsize(&attributes, &told.guard_bytes), 0);
    CHECK_IS(pthread_attr_getdetachstate(&attributes, &told.detach_state), 0);
    CHECK((char *)inside >= (char *)low && (char *)inside < (char *)low + told.stack_bytes);
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
    return told;
}

__attribute__((noinline)) static int touch_down_to(volatile char *lowest)
{
    volatile char frame[2048];
    frame[0] = 1;
    return (char *)frame > (char *)lowest + 16384 ? touch_down_to(lowest) + frame[0] : frame[0];
}

static void *default_thread(void *argument)
{
    char local;
    struct told told = ask(pthread_self(), &local);
    size_t default_stack, default_guard;
    pthread_attr_t defaults;
    CHECK_IS(pthread_getattr_default_np(&defaults), 0);
    CHECK_IS(pthread_attr_getstacksize(&defaults, &default_stack), 0);
    CHECK_IS(pthread_attr_getguardsize(&defaults, &default_guard), 0);
    CHECK(told.stack_bytes > default_stack / 2 && told.stack_bytes <= default_stack + (64 << 10));
    CHECK_IS(told.guard_bytes, default_guard);
    CHECK_IS(told.detach_state, PTHREAD_CREATE_JOINABLE);
    return argument;
}

static void *small_thread(void *argument)
{
    char local;
    struct told told = ask(pthread_self(), &local);
    CHECK(told.stack_bytes > 400 << 10 && told.stack_bytes <= 512 << 10);
    CHECK_IS(told.guard_bytes, 64 << 10);

    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    CHECK_IS(pthread_getattr_np(pthread_self(), &attributes), 0);
    CHECK_IS(pthread_attr_getstack(&attributes, &low, &bytes), 0);
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
    CHECK(touch_down_to(low) > 0); /* all of it can be used */
    return argument;
}

static sem_t detached, asked;

static void *detached_thread(void *argument)
{
    char local;
    CHECK_IS(pthread_detach(pthread_self()), 0);
    CHECK_IS(ask(pthread_self(), &local).detach_state, PTHREAD_CREATE_DETACHED);
    *(void **)argument = &local;
    sem_post(&detached);
    sem_wait(&asked);
    return NULL;
}

int main(void)
{
    char local;
    join(spawn(default_thread, NULL));
    say("a default thread: its stack, the default guard, joinable");

    pthread_attr_t attributes;
    pthread_t thread;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstacksize(&attributes, 512 << 10), 0);
    CHECK_IS(pthread_attr_setguardsize(&attributes, 64 << 10), 0);
    CHECK_IS(pthread_create(&thread, &attributes, small_thread, NULL), 0);
    join(thread);
    say("a thread with 512 KiB and a guard of 64 KiB: told so, used to the bottom");

    sem_init(&detached, 0, 0);
    sem_init(&asked, 0, 0);
    void *inside;
    thread = spawn(detached_thread, &inside);
    sem_wait(&detached);
    CHECK_IS(ask(thread, inside).detach_state, PTHREAD_CREATE_DETACHED);
    sem_post(&asked);
    say("another thread, detached: asked from main");

    ask(pthread_self(), &local);
    say("main: a local variable lies in its stack");
    join(spawn(default_thread, NULL));
    return 0;
}
