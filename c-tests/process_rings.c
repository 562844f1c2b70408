/* What a thread submits to a ring of io_uring's is answered, however long it waits meanwhile; a ring that one task may submit to, and a
 * ring's registered number, hold for the thread that has them.
 * covers: syscall
 * needs: io_uring
 * proof: green_threads>=12 parks>=30 hooks.syscall>=50
 */
#include "ctest.h"
#include <linux/io_uring.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { THREADS = 12, LATE = 6, ROUNDS = 40, REGISTER_RING_FDS = 20 };

struct ring {
    int fd;
    unsigned *tail, *mask, *array, *head_done, *tail_done, *mask_done;
    struct io_uring_sqe *entries;
    struct io_uring_cqe *done;
};

static bool make(struct ring *ring, unsigned flags)
{
    struct io_uring_params parameters = {.flags = flags};
    ring->fd = syscall(SYS_io_uring_setup, 8, &parameters);
    if (ring->fd < 0)
        return false;
    size_t size = parameters.sq_off.array + 8 * sizeof(int), size_done = parameters.cq_off.cqes + 16 * sizeof(struct io_uring_cqe);
    char *map = mmap(NULL, size > size_done ? size : size_done, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
    CHECK(map != MAP_FAILED && parameters.features & IORING_FEAT_SINGLE_MMAP);
    ring->entries = mmap(NULL, 8 * sizeof *ring->entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQES);
    CHECK(ring->entries != MAP_FAILED);
    ring->tail = (unsigned *)(map + parameters.sq_off.tail);
    ring->mask = (unsigned *)(map + parameters.sq_off.ring_mask);
    ring->array = (unsigned *)(map + parameters.sq_off.array);
    ring->head_done = (unsigned *)(map + parameters.cq_off.head);
    ring->tail_done = (unsigned *)(map + parameters.cq_off.tail);
    ring->mask_done = (unsigned *)(map + parameters.cq_off.ring_mask);
    ring->done = (struct io_uring_cqe *)(map + parameters.cq_off.cqes);
    return true;
}

static void enter(struct ring *ring, int number, unsigned submitted, unsigned awaited, unsigned flags)
{
    (void)ring;
    CHECK_IS(syscall(SYS_io_uring_enter, number, submitted, awaited, flags | (awaited ? IORING_ENTER_GETEVENTS : 0), NULL, 0), submitted);
}

static void submit(struct ring *ring, int number, unsigned flags, struct io_uring_sqe entry)
{
    unsigned at = *ring->tail & *ring->mask;
    ring->entries[at] = entry;
    ring->array[at] = at;
    __atomic_store_n(ring->tail, *ring->tail + 1, __ATOMIC_RELEASE);
    enter(ring, number, 1, 0, flags);
}

static int answer(struct ring *ring, int number, unsigned flags)
{
    while (__atomic_load_n(ring->tail_done, __ATOMIC_ACQUIRE) == *ring->head_done)
        enter(ring, number, 0, 1, flags);
    int result = ring->done[*ring->head_done & *ring->mask_done].res;
    __atomic_store_n(ring->head_done, *ring->head_done + 1, __ATOMIC_RELEASE);
    return result;
}

static int ends[THREADS][2];
static sem_t go[THREADS];
static atomic_int submitted;

/* Naps in the kernel, so that kernel threads come and go; then a read waits for longer than any of them is spare. */
static void *is_answered(void *argument)
{
    long n = (long)argument;
    struct __kernel_timespec time = {.tv_nsec = 20000000};
    struct ring ring;
    char byte;
    CHECK(make(&ring, 0));
    for (int i = 0; i < 3; i++) {
        submit(&ring, ring.fd, 0, (struct io_uring_sqe){.opcode = IORING_OP_TIMEOUT, .fd = -1, .addr = (uintptr_t)&time, .len = 1});
        CHECK_IS(answer(&ring, ring.fd, 0), -ETIME);
    }
    submit(&ring, ring.fd, 0, (struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = ends[n][0], .addr = (uintptr_t)&byte, .len = 1});
    submitted++;
    CHECK_IS(sem_wait(&go[n]), 0);
    CHECK_IS(answer(&ring, ring.fd, 0), 1);
    return NULL;
}

static void *is_the_only_one(void *argument)
{
    struct ring ring;
    /* A kernel without it has no such rings. */
    if (!make(&ring, IORING_SETUP_SINGLE_ISSUER))
        return argument;
    for (int i = 0; i < ROUNDS; i++) {
        submit(&ring, ring.fd, 0, (struct io_uring_sqe){.opcode = IORING_OP_NOP});
        usleep(1000);
        CHECK_IS(answer(&ring, ring.fd, 0), 0);
    }
    return argument;
}

static void *has_a_registered_number(void *argument)
{
    struct ring ring;
    CHECK(make(&ring, 0));
    struct io_uring_rsrc_update update = {.offset = -1U, .data = ring.fd};
    if (syscall(SYS_io_uring_register, ring.fd, REGISTER_RING_FDS, &update, 1) != 1)
        return argument;
    for (int i = 0; i < ROUNDS; i++) {
        submit(&ring, update.offset, IORING_ENTER_REGISTERED_RING, (struct io_uring_sqe){.opcode = IORING_OP_NOP});
        usleep(1000);
        CHECK_IS(answer(&ring, update.offset, IORING_ENTER_REGISTERED_RING), 0);
    }
    return argument;
}

int main(void)
{
    pthread_t threads[THREADS], late[LATE];
    struct ring probe, early;
    if (!make(&probe, 0)) {
        /* The kernel refuses rings to the whole process. */
        for (int i = 0; i < THREADS; i++)
            threads[i] = spawn(is_the_only_one, NULL);
        for (int i = 0; i < 50; i++)
            syscall(SYS_getppid);
    } else {
        bool is_early = make(&early, IORING_SETUP_SINGLE_ISSUER);
        for (long i = 0; i < 8; i++) {
            CHECK(pipe(ends[i]) == 0 && sem_init(&go[i], 0, 0) == 0);
            threads[i] = spawn(is_answered, (void *)i);
        }
        for (int i = 8; i < THREADS; i++)
            threads[i] = spawn(i % 2 ? is_the_only_one : has_a_registered_number, NULL);
        while (submitted < 8)
            usleep(10000);
        /* Threads that have a kernel thread each until their end, of those that have submitted for others. */
        for (int i = 0; i < LATE; i++)
            late[i] = spawn(i % 2 ? is_the_only_one : has_a_registered_number, NULL);
        for (int i = 0; i < LATE; i++)
            join(late[i]);
        for (int i = 0; i < 60; i++) {
            usleep(10000);
            if (is_early) {
                submit(&early, early.fd, 0, (struct io_uring_sqe){.opcode = IORING_OP_NOP});
                CHECK_IS(answer(&early, early.fd, 0), 0);
            }
        }
        for (int i = 0; i < 8; i++)
            CHECK_IS(write(ends[i][1], "x", 1), 1);
        usleep(50000);
        for (int i = 0; i < 8; i++)
            sem_post(&go[i]);
    }
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    say("all that was submitted is answered");
    return 0;
}
