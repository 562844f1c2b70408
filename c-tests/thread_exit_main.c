/* main leaves by pthread_exit: the process lives until its last thread ends, runs its atexit handlers then, and exits with 0.
 * covers: pthread_exit
 * proof: green_threads>=3 parks>=1
 */
#include "ctest.h"

static pthread_t main_thread;

static void at_exit(void)
{
    say("atexit handler");
}

static void main_cleanup(void *argument)
{
    (void)argument;
    say("main's cleanup handler");
}

static void *last(void *argument)
{
    CHECK_IS(pthread_detach(pthread_self()), 0);
    nap(5);
    say("last thread ends");
    return argument;
}

static void *middle(void *argument)
{
    say("main's value: %s", (char *)join(main_thread));
    spawn(last, NULL);
    return argument;
}

static void *first(void *argument)
{
    CHECK_IS(pthread_detach(spawn(middle, NULL)), 0);
    return argument;
}

int main(void)
{
    main_thread = pthread_self();
    atexit(at_exit);
    CHECK_IS(pthread_detach(spawn(first, NULL)), 0);
    pthread_cleanup_push(main_cleanup, NULL);
    pthread_exit("from main");
    pthread_cleanup_pop(0);
    return 1; /* never reached: the exit status is 0 */
}
