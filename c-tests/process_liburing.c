/* A ring that only the task may submit to which made it, or whose number is registered, made by liburing's functions, whose system calls
 * are instructions of its own: it holds for its thread, in main and others, and however liburing came to be loaded.
 * covers: usleep
 * needs: io_uring
 * proof: green_threads>=6 parks>=100 hooks.usleep>=100
 */
#include "ctest.h"
#include <dlfcn.h>
#include <linux/io_uring.h>

/* More than liburing's struct io_uring; of 8 entries, 16 answers have room. */
struct ring {
    long words[128];
};

enum { ROUNDS = 12 };

static int (*initialise)(unsigned, void *, unsigned);
static int (*submit)(void *);
static struct io_uring_sqe *(*next)(void *);
static int (*register_number)(void *);

static void submits(struct ring *ring)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct io_uring_sqe *entry = next(ring);
        CHECK(entry != NULL);
        *entry = (struct io_uring_sqe){.opcode = IORING_OP_NOP};
        CHECK_IS(submit(ring), 1);
        usleep(1000);
    }
}

static void *is_the_only_one(void *argument)
{
    struct ring ring = {0};
    if (initialise(8, &ring, IORING_SETUP_SINGLE_ISSUER) == 0)
        submits(&ring);
    return argument;
}

static void *has_a_registered_number(void *argument)
{
    struct ring ring = {0};
    CHECK_IS(initialise(8, &ring, 0), 0);
    if (register_number)
        CHECK_IS(register_number(&ring), 1);
    submits(&ring);
    return argument;
}

static void *others_run(void *argument)
{
    for (int i = 0; i < 100; i++)
        usleep(500);
    return argument;
}

int main(void)
{
    /* As a program that is linked with it finds them: by name, in whatever comes first. */
    void *liburing = dlopen("liburing.so.2", RTLD_NOW | RTLD_GLOBAL);
    if (!liburing)
        skip("liburing.so.2 is not installed");
    initialise = dlsym(RTLD_DEFAULT, "io_uring_queue_init");
    register_number = dlsym(RTLD_DEFAULT, "io_uring_register_ring_fd");
    submit = dlsym(liburing, "io_uring_submit");
    next = dlsym(liburing, "io_uring_get_sqe");
    CHECK(initialise && submit && next);
    struct ring early = {0};
    bool is_early = initialise(8, &early, IORING_SETUP_SINGLE_ISSUER) == 0;
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        threads[i] = spawn(i % 3 == 0 ? is_the_only_one : i % 3 == 1 ? has_a_registered_number : others_run, NULL);
    if (is_early)
        submits(&early);
    for (int i = 0; i < 6; i++)
        join(threads[i]);
    say("each ring holds for its thread");
    return 0;
}
