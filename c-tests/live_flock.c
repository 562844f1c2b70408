/* A thread that waits in flock, lockf or fcntl for a lock that another thread holds gets it when that one lets go.
 * covers: flock lockf fcntl
 * proof: green_threads>=7 parks>=1 kernel_threads_peak<=12
 * processors: 4
 */
#include "ctest.h"
#include <sys/file.h>
#include <sys/mman.h>

static char name[4096];
static atomic_int held, let_go;

static int open_again(void)
{
    int fd = open(name, O_RDWR);
    CHECK(fd >= 0);
    return fd;
}

/* Two open files of one process exclude each other by flock and by locks of the open file description. */
static int lock(int fd, int way)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return way ? fcntl(fd, F_OFD_SETLKW, &whole) : flock(fd, LOCK_EX);
}

static void *holder(void *way)
{
    int fd = open_again();
    CHECK_IS(lock(fd, (intptr_t)way), 0);
    held = 1;
    nap(5);
    let_go = 1;
    close(fd); /* lets go of both kinds */
    return NULL;
}

static void *waiter(void *way)
{
    int fd = open_again();
    CHECK_IS(lock(fd, (intptr_t)way), 0);
    CHECK(let_go);
    close(fd);
    return NULL;
}

/* lockf excludes processes only: the holder is a child, which lets go when it sees the byte in the file change. */
static atomic_int *shared;

static void *waits_for_process(void *argument)
{
    int fd = open_again();
    *shared = 2;
    CHECK_IS(lockf(fd, F_LOCK, 0), 0);
    CHECK_IS(*shared, 3);
    close(fd);
    return argument;
}

static void between_processes(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    pid_t child = fork();
    if (child == 0) {
        int fd = open_again();
        alarm(CTEST_SECONDS);
        CHECK_IS(lockf(fd, F_LOCK, 0), 0);
        *shared = 1;
        while (*shared != 2)
            nap(1);
        nap(3);
        *shared = 3;
        _exit(0);
    }
    while (*shared != 1)
        nap(1);
    join(spawn(waits_for_process, NULL));
    CHECK_IS(waitpid(child, NULL, 0), child);
    say("lockf: taken when the other process ended");
}

int main(void)
{
    const char *folder = getenv("TMPDIR");
    snprintf(name, sizeof name, "%s/c-test-XXXXXX", folder ? folder : "/tmp");
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    for (intptr_t way = 0; way < 2; way++) {
        held = let_go = 0;
        pthread_t first = spawn(holder, (void *)way);
        while (!held)
            sched_yield();
        pthread_t second = spawn(waiter, (void *)way), third = spawn(waiter, (void *)way);
        join(first);
        join(second);
        join(third);
        say("%s: taken when the other thread let go", way ? "fcntl" : "flock");
    }
    between_processes();
    CHECK_IS(unlink(name), 0);
    return 0;
}
