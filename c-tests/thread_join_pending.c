/* pthread_tryjoin_np is no cancellation point: a thread that is to be cancelled joins one that is over, on a stack of the program's,
 * and nothing of that is left undone.
 * covers: pthread_tryjoin_np pthread_cancel pthread_create pthread_testcancel
 * proof: green_threads>=12 parks>=2 hooks.pthread_tryjoin_np>=4
 */
#include "ctest.h"
#include <sys/mman.h>

enum { BYTES = 256 << 10, TIMES = 4 };

static atomic_int runs_as, joined;
static atomic_bool cancelled;
static char *stack;

static void *brief(void *argument)
{
    runs_as = gettid();
    return argument;
}

static pthread_t begin_on_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    runs_as = 0;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstack(&attributes, stack, BYTES), 0);
    CHECK_IS(pthread_create(&thread, &attributes, brief, stack), 0);
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
    while (!runs_as || tgkill(getpid(), runs_as, 0) == 0)
        sched_yield();
    return thread;
}

static void *joins(void *argument)
{
    int state;
    CHECK_IS(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state), 0);
    pthread_t over = begin_on_stack();
    while (!cancelled)
        sched_yield();
    CHECK_IS(pthread_setcancelstate(state, NULL), 0);
    void *result;
    while ((errno = pthread_tryjoin_np(over, &result)) == EBUSY)
        ;
    CHECK(errno == 0 && result == stack);
    joined++;
    pthread_testcancel();
    return argument;
}

int main(void)
{
    stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    for (int i = 1; i <= TIMES; i++) {
        cancelled = false;
        pthread_t thread = spawn(joins, NULL);
        CHECK_IS(pthread_cancel(thread), 0);
        cancelled = true;
        CHECK(join(thread) == PTHREAD_CANCELED);
        CHECK_IS(joined, i);
        CHECK(join(begin_on_stack()) == stack);
    }
    say("joined, then cancelled; and the stack serves again");
    return 0;
}
