/* A futex on memory that has gone (unmapped, forbidden, cut off with its file) since it was waited on answers as the kernel does, with
 * the faults' signals open, blocked, ignored and handled; the program's own faults are still the program's.
 * covers: syscall
 * proof: green_threads>=4 parks>=12 hooks.syscall>=100
 */
#include "bad.h"
#include "futex.h"
#include <setjmp.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

static const struct timespec soon = {0, 1000000};
static atomic_int faults;
static sigjmp_buf out;

static void fault(int signal)
{
    (void)signal;
    faults++;
    siglongjmp(out, 1);
}

static uint32_t *waited_on(int protection, int fd)
{
    uint32_t *page = mmap(NULL, PAGE, protection, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_PRIVATE, fd, 0);
    CHECK(page != MAP_FAILED);
    CHECK_FAILS(futex(page, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0), ETIMEDOUT);
    CHECK_FAILS(futex(page, FUTEX_WAIT_PRIVATE, 1, &soon, NULL, 0), EAGAIN);
    return page;
}

static void all(uint32_t *page)
{
    static uint32_t good;
    void *one = (void *)1;
    int none_added = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 5);
    TRY(futex(page, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0));
    TRY(futex(page, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0));
    TRY(futex(page, FUTEX_WAIT, 0, &soon, NULL, 0));
    TRY(futex(page, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 0));
    TRY(futex(page, FUTEX_WAIT_BITSET_PRIVATE, 1, NULL, NULL, 1));
    TRY(futex(page, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    TRY(futex(page, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 1));
    TRY(futex(page, FUTEX_REQUEUE_PRIVATE, 1, one, &good, 0));
    TRY(futex(&good, FUTEX_REQUEUE_PRIVATE, 1, one, page, 0));
    TRY(futex(page, FUTEX_CMP_REQUEUE_PRIVATE, 1, one, &good, 0));
    TRY(futex(&good, FUTEX_CMP_REQUEUE_PRIVATE, 1, one, page, 0));
    TRY(futex(&good, FUTEX_CMP_REQUEUE_PRIVATE, 1, one, page, 1));
    TRY(futex(page, FUTEX_WAKE_OP_PRIVATE, 1, one, &good, none_added));
    TRY(futex(&good, FUTEX_WAKE_OP_PRIVATE, 1, one, page, none_added));
    TRY(futex(page, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    TRY(futex(page, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
}

static void gone(void)
{
    say("unmapped");
    uint32_t *page = waited_on(PROT_READ | PROT_WRITE, -1);
    CHECK_IS(munmap(page, PAGE), 0);
    all(page);
    say("forbidden");
    page = waited_on(PROT_READ | PROT_WRITE, -1);
    CHECK_IS(mprotect(page, PAGE, PROT_NONE), 0);
    all(page);
    CHECK_IS(munmap(page, PAGE), 0);
    say("to be read only");
    page = waited_on(PROT_READ, -1);
    all(page);
    CHECK_IS(munmap(page, PAGE), 0);
    say("cut off");
    int fd = memfd_create("file", 0);
    CHECK(fd >= 0);
    CHECK_IS(ftruncate(fd, PAGE), 0);
    page = waited_on(PROT_READ | PROT_WRITE, fd);
    CHECK_IS(ftruncate(fd, 0), 0);
    all(page);
    CHECK_IS(munmap(page, PAGE), 0);
    CHECK_IS(close(fd), 0);
}

static void blocked(void)
{
    sigset_t every;
    sigfillset(&every);
    CHECK_IS(pthread_sigmask(SIG_SETMASK, &every, NULL), 0);
    gone();
}

static void own_fault(void)
{
    char *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (volatile int i = 0; i < 3; i++)
        if (sigsetjmp(out, true) == 0)
            *(volatile char *)page = 1;
    CHECK_IS(faults, 3);
    CHECK_IS(munmap(page, PAGE), 0);
}

int main(void)
{
    in_thread(gone);
    say("the faults' signals are blocked");
    in_thread(blocked);
    say("ignored");
    signal(SIGSEGV, SIG_IGN);
    signal(SIGBUS, SIG_IGN);
    in_thread(gone);
    say("handled");
    signal(SIGSEGV, fault);
    signal(SIGBUS, fault);
    in_thread(gone);
    CHECK_IS(faults, 0);
    in_thread(own_fault);
    say("the program's own faults: %d", faults);
    return 0;
}
