/* A thread begins with nothing of what the one before it on the same stack was in the middle of: a call that a jump out of a handler has
 * left, a mask that a handler has widened, a robust list that a handler has used. Nor does such a thread itself go on with it.
 * covers: pthread_create pthread_cancel pthread_setcanceltype pthread_mutex_lock pthread_mutex_unlock siglongjmp
 * proof: green_threads>=6 parks>=1 kernel_threads_peak<=12
 * passes: siglongjmp: the library leaves its handlers and brings the mask back, and the jump itself is libc's
 * processors: 4
 */
#include "deadlines.h"
#include <setjmp.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>

static _Thread_local sigjmp_buf out;
static atomic_bool ready, over;
static bool in_one_thread; /* else it is the next thread on that stack that shows it */

static void jump(int signal)
{
    (void)signal;
    siglongjmp(out, 1);
}

static void await(atomic_bool *flag)
{
    while (!*flag)
        nap(1);
}

static void *runs_for_ever(void *argument)
{
    CHECK_IS(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
    ready = true;
    for (volatile unsigned long turns = 0;; turns++)
        ;
    return argument;
}

static void *leaves_a_call(void *argument)
{
    sigset_t usr1;
    long message[2];
    CHECK_IS(sigemptyset(&usr1), 0);
    CHECK_IS(sigaddset(&usr1, SIGUSR1), 0);
    if (sigsetjmp(out, true) == 0) {
        ready = true;
        msgrcv(*(int *)argument, message, sizeof *message, 0, 0);
        say("FAIL: msgrcv came back");
    }
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
    ready = false;
    over = true;
    return in_one_thread ? runs_for_ever(NULL) : argument;
}

/* Who has left a call by a jump is in none: such a thread can be cancelled where it computes. */
static void a_call(void)
{
    int queue = msgget(IPC_PRIVATE, 0600);
    CHECK(queue >= 0);
    over = ready = false;
    pthread_t thread = spawn(leaves_a_call, &queue);
    await(&ready);
    while (!over) {
        nap(1);
        CHECK_IS(pthread_kill(thread, SIGUSR1), 0);
    }
    if (!in_one_thread) {
        join(thread);
        thread = spawn(runs_for_ever, NULL);
    }
    await(&ready);
    CHECK_IS(pthread_cancel(thread), 0);
    CHECK(join(thread) == PTHREAD_CANCELED);
    CHECK_IS(msgctl(queue, IPC_RMID, NULL), 0);
}

static pthread_mutex_t *mutex, own;

static void make_robust(pthread_mutex_t *robust, int shared)
{
    pthread_mutexattr_t attributes;
    CHECK_IS(pthread_mutexattr_init(&attributes), 0);
    CHECK_IS(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    CHECK_IS(pthread_mutexattr_setpshared(&attributes, shared), 0);
    CHECK_IS(pthread_mutex_init(robust, &attributes), 0);
}

static sigset_t usr2;

static void *holds_a_mutex(void *argument)
{
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &usr2, NULL), 0);
    CHECK_IS(pthread_mutex_lock(&own), 0);
    ready = true;
    await(&over);
    CHECK_IS(pthread_mutex_unlock(&own), 0);
    return argument;
}

/* Goes on far below the place on the stack where the handler was. */
static __attribute__((noinline)) void *holds_a_mutex_far_down(void)
{
    char space[1 << 15];
    __asm__ volatile("" ::"r"(space) : "memory");
    void *result = holds_a_mutex(NULL);
    __asm__ volatile("" ::"r"(space) : "memory");
    return result;
}

static void *leaves_a_handler(void *unused)
{
    (void)unused;
    if (sigsetjmp(out, true) == 0) {
        CHECK_IS(raise(SIGUSR1), 0);
        say("FAIL: the handler came back");
    }
    return in_one_thread ? holds_a_mutex_far_down() : NULL;
}

/* What a thread blocks after such a jump it does not block for a handler's time: a signal for the process waits at the process. */
static void a_mask(void)
{
    sigset_t pending, before;
    make_robust(&own, PTHREAD_PROCESS_PRIVATE);
    over = ready = false;
    pthread_t thread = spawn(leaves_a_handler, NULL);
    if (!in_one_thread) {
        join(thread);
        thread = spawn(holds_a_mutex, NULL);
    }
    await(&ready);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &usr2, &before), 0);
    CHECK_IS(kill(getpid(), SIGUSR2), 0);
    long long began = now_ms();
    do { /* on a busy machine it may be on its way */
        nap(1);
        CHECK_IS(sigpending(&pending), 0);
    } while (!sigismember(&pending, SIGUSR2) && now_ms() - began < 3000);
    CHECK_IS(sigismember(&pending, SIGUSR2), 1);
    CHECK_IS(sigtimedwait(&usr2, NULL, &(struct timespec){5, 0}), SIGUSR2);
    CHECK_IS(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    over = true;
    join(thread);
}

static void use_own(int signal)
{
    (void)signal;
    CHECK_IS(pthread_mutex_lock(&own), 0);
    CHECK_IS(pthread_mutex_unlock(&own), 0);
}

static void *uses_it_in_a_handler(void *argument)
{
    CHECK_IS(raise(SIGUSR1), 0);
    return argument;
}

static void *dies_with_the_process(void *argument)
{
    CHECK_IS(pthread_mutex_lock(mutex), 0);
    CHECK_IS(kill(getpid(), SIGKILL), 0);
    return argument;
}

static void *waits_and_dies(void *argument)
{
    await(&over);
    return dies_with_the_process(argument);
}

static void *uses_it_and_dies(void *argument)
{
    uses_it_in_a_handler(argument);
    return in_one_thread ? waits_and_dies(argument) : argument;
}

static void handler_then_owner(void)
{
    over = false;
    make_robust(&own, PTHREAD_PROCESS_PRIVATE);
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = use_own}, NULL), 0);
    pthread_t thread = spawn(uses_it_and_dies, NULL);
    if (!in_one_thread) {
        join(thread);
        thread = spawn(waits_and_dies, NULL);
    }
    nap(10);
    use_own(0); /* main's list comes to its kernel thread, and goes */
    over = true;
    join(thread);
}

/* A robust list that a handler has used is made known again: the process that dies with a mutex tells others. */
static void a_list(void)
{
    mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(mutex != MAP_FAILED);
    make_robust(mutex, PTHREAD_PROCESS_SHARED);
    int status = in_child(handler_then_owner);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct timespec until = in_ms(CLOCK_REALTIME, 2000);
    CHECK_IS(pthread_mutex_timedlock(mutex, &until), EOWNERDEAD);
    CHECK_IS(pthread_mutex_consistent(mutex), 0);
    CHECK_IS(pthread_mutex_unlock(mutex), 0);
    CHECK_IS(munmap(mutex, 4096), 0);
}

int main(void)
{
    CHECK_IS(sigemptyset(&usr2), 0);
    CHECK_IS(sigaddset(&usr2, SIGUSR2), 0);
    for (int round = 0; round < 2; round++) { /* before any thread: the child begins natively */
        in_one_thread = round == 1;
        a_list();
        say("a robust list%s", in_one_thread ? " in one thread" : "");
    }
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = jump}, NULL), 0);
    CHECK_IS(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = jump}, NULL), 0);
    for (int round = 0; round < 2; round++) {
        in_one_thread = round == 1;
        a_call();
        say("a call%s", in_one_thread ? " in one thread" : "");
        a_mask();
        say("a mask%s", in_one_thread ? " in one thread" : "");
    }
    return 0;
}
