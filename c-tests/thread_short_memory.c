/* The process may have no more address space than it has: threads that live go on waiting and computing in system calls that nobody sees,
 * threads are made until there is no memory for one (EAGAIN), and what is there serves again.
 * covers: pthread_create setrlimit socketpair
 * proof: green_threads>=10 parks>=120
 */
#include "ctest.h"
#include "inline.h"
#include <sys/resource.h>
#include <sys/socket.h>

enum { THREADS = 9, MOST = 500 };

static int pair[2];
static atomic_int narrow;

static void *echoes(void *argument)
{
    char byte;
    while (recv(pair[1], &byte, 1, 0) == 1)
        CHECK_IS(send(pair[1], &byte, 1, 0), 1);
    return argument;
}

static void *naps(void *argument)
{
    struct timespec time = {0, 20000000};
    while (!narrow)
        usleep(1000);
    for (int i = 0; i < 3; i++)
        CHECK_IS(INLINE(SYS_nanosleep, &time, 0), 0);
    return argument;
}

static void *nothing(void *argument)
{
    return argument;
}

static void limit_address_space(void)
{
    long pages = 0;
    struct rlimit limit;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    CHECK_IS(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = pages * sysconf(_SC_PAGESIZE);
    CHECK_IS(setrlimit(RLIMIT_AS, &limit), 0);
}

/* As many as there are; the answer to the next one. */
static int make_until_refused(void)
{
    static pthread_t threads[MOST];
    int made = 0, failed = 0;
    while (made < MOST && (failed = pthread_create(&threads[made], NULL, nothing, NULL)) == 0)
        made++;
    for (int i = 0; i < made; i++)
        join(threads[i]);
    return failed;
}

int main(void)
{
    pthread_t threads[THREADS + 1];
    char byte = 'x';
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    say("begun");
    threads[THREADS] = spawn(echoes, NULL);
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(naps, NULL);
    usleep(20000);
    limit_address_space();
    narrow = 1;
    for (int i = 0; i < 50; i++) {
        CHECK_IS(send(pair[0], &byte, 1, 0), 1);
        CHECK_IS(recv(pair[0], &byte, 1, 0), 1);
    }
    say("echoed");
    int failed = make_until_refused();
    say("one thread too many: %s", failed == EAGAIN || failed == 0 ? "EAGAIN at most" : strerror(failed));
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK_IS(shutdown(pair[0], SHUT_RDWR), 0);
    join(threads[THREADS]);
    say("joined");
    return 0;
}
