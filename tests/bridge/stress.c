/* stress SEED FILE [sliced]: contexts that wait for all that a context can wait for, in any order, while others end their waits, close what
 * they wait for, and take their locks; two threads beside the loop's do the same. Each wait has an end of its own, so that all end.
 */
#define _GNU_SOURCE
#include "loop.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/file.h>
#include <sys/socket.h>

enum { CONTEXTS = 64, OPERATIONS = 100, LOCKS = 3 };

static struct context *contexts[CONTEXTS];
static int ends[CONTEXTS][2];
static const char *path;
static bool is_ended;
static long operations, cancelled;

static pthread_mutex_t locks[LOCKS], recursive;
static pthread_rwlock_t shared_lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t beside = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static sem_t units;
/* Who is inside of each: one at the most. */
static int inside[LOCKS], inside_recursive, inside_file, writers, readers;

static unsigned draw(unsigned *seed, unsigned below)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 16) % below;
}

static struct timespec in_us(long us)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_nsec += us * 1000;
    time.tv_sec += time.tv_nsec / 1000000000, time.tv_nsec %= 1000000000;
    return time;
}

static void make_pair(int of)
{
    struct timeval limit = {0, 3000};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[of]) == 0);
    CHECK(setsockopt(ends[of][0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
}

static int enters(int *who)
{
    return __atomic_fetch_add(who, 1, __ATOMIC_SEQ_CST);
}

static void goes(int *who)
{
    CHECK(__atomic_fetch_sub(who, 1, __ATOMIC_SEQ_CST) >= 1);
}

/* What contexts and threads do. */
static void locks_one(unsigned *seed)
{
    int which = draw(seed, LOCKS);
    struct timespec until = in_us(draw(seed, 2000));
    int result = draw(seed, 2) ? pthread_mutex_lock(&locks[which]) : pthread_mutex_timedlock(&locks[which], &until);
    CHECK(result == 0 || result == ETIMEDOUT);
    if (result == 0) {
        CHECK(enters(&inside[which]) == 0);
        if (draw(seed, 4) == 0)
            usleep(draw(seed, 200));
        goes(&inside[which]);
        CHECK(pthread_mutex_unlock(&locks[which]) == 0);
    }
}

static void locks_often(unsigned *seed)
{
    CHECK(pthread_mutex_lock(&recursive) == 0 && enters(&inside_recursive) == 0 && pthread_mutex_lock(&recursive) == 0);
    usleep(draw(seed, 100));
    goes(&inside_recursive);
    CHECK(pthread_mutex_unlock(&recursive) == 0 && pthread_mutex_unlock(&recursive) == 0);
}

static void shares(unsigned *seed)
{
    bool writes = draw(seed, 4) == 0;
    CHECK((writes ? pthread_rwlock_wrlock(&shared_lock) : pthread_rwlock_rdlock(&shared_lock)) == 0);
    enters(writes ? &writers : &readers);
    CHECK(writes ? __atomic_load_n(&readers, __ATOMIC_SEQ_CST) == 0 && writers == 1 : __atomic_load_n(&writers, __ATOMIC_SEQ_CST) == 0);
    usleep(draw(seed, 100));
    goes(writes ? &writers : &readers);
    CHECK(pthread_rwlock_unlock(&shared_lock) == 0);
}

static void awaits(unsigned *seed)
{
    struct timespec until = in_us(draw(seed, 2000));
    int result;
    if (draw(seed, 2)) {
        CHECK(sem_timedwait(&units, &until) == 0 || errno == ETIMEDOUT || errno == EINTR);
        return;
    }
    CHECK(pthread_mutex_lock(&beside) == 0);
    result = pthread_cond_timedwait(&changed, &beside, &until);
    CHECK((result == 0 || result == ETIMEDOUT) && pthread_mutex_unlock(&beside) == 0);
}

static void gives(unsigned *seed)
{
    send(ends[draw(seed, CONTEXTS)][1], "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    CHECK(draw(seed, 2) ? sem_post(&units) == 0 : pthread_cond_signal(&changed) == 0);
}

static void locks_file(unsigned *seed)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    if (flock(fd, LOCK_EX) == 0) {
        CHECK(enters(&inside_file) == 0);
        usleep(draw(seed, 100));
        goes(&inside_file);
    } else
        CHECK(errno == EINTR);
    close(fd);
}

/* What contexts do alone. */
static void receives(int me)
{
    char byte;
    ssize_t count = recv(ends[me][0], &byte, 1, 0);
    CHECK(count >= 0 || errno == EAGAIN || errno == ETIMEDOUT || errno == EBADF);
    if (count <= 0 && errno != EAGAIN) {
        close(ends[me][0]), close(ends[me][1]);
        make_pair(me);
    }
}

static void polls(int me, unsigned *seed)
{
    struct pollfd two[2] = {{ends[me][0], POLLIN, 0}, {ends[draw(seed, CONTEXTS)][0], POLLIN, 0}};
    CHECK(poll(two, 1 + draw(seed, 2), draw(seed, 4)) >= 0 || errno == EINTR);
}

static void ends_wait(unsigned *seed)
{
    struct context *of = contexts[draw(seed, CONTEXTS)];
    if (of && of->is_left && !of->is_over && ready_count < MOST / 2) {
        cancel(of, -(int)draw(seed, 3));
        cancelled++;
    }
}

static void works(long me)
{
    unsigned seed = me * 7919 + operations;
    for (int i = 0; i < OPERATIONS; i++) {
        switch (draw(&seed, 12)) {
        case 0:
            usleep(draw(&seed, 1000));
            break;
        case 1:
            receives(me);
            break;
        case 2:
            polls(me, &seed);
            break;
        case 3:
            close(ends[me][0]), close(ends[me][1]);
            make_pair(me);
            break;
        case 4:
            locks_often(&seed);
            break;
        case 5:
            shares(&seed);
            break;
        case 6:
            awaits(&seed);
            break;
        case 7:
            locks_file(&seed);
            break;
        case 8:
            locks_one(&seed);
            break;
        case 9:
            gives(&seed);
            break;
        default:
            ends_wait(&seed);
        }
        operations++;
    }
}

static void *helps(void *argument)
{
    unsigned seed = (unsigned)(long)argument;
    while (!__atomic_load_n(&is_ended, __ATOMIC_SEQ_CST)) {
        locks_one(&seed);
        shares(&seed);
        gives(&seed);
        usleep(draw(&seed, 300));
    }
    return NULL;
}

extern char __executable_start[], etext[];

int main(int count, char **words)
{
    pthread_t threads[2];
    pthread_mutexattr_t kind;
    CHECK(count > 2);
    is_sliced = count > 3;
    long seed = atol(words[1]);
    path = words[2];
    pthread_mutexattr_init(&kind);
    CHECK(pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE) == 0 && pthread_mutex_init(&recursive, &kind) == 0);
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_init(&locks[i], NULL);
    CHECK(sem_init(&units, 0, 0) == 0);
    lend();
    CHECK(gp_range(GP_CONDITION_CALLERS, __executable_start, etext) == 0);
    for (int i = 0; i < CONTEXTS; i++)
        make_pair(i);
    for (long i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, helps, (void *)(seed + i)) == 0);
    for (int i = 0; i < CONTEXTS; i++)
        contexts[i] = spawn(works, i);
    operations = seed * 1000003;
    long first = operations;
    run();
    __atomic_store_n(&is_ended, true, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    struct gp_loop_statistics of = {.size = sizeof of};
    CHECK(gp_loop_statistics(&of) == 0 && gp_unlend() == 0);
    fprintf(stderr, "lent %lu blocked %lu taken %lu offloaded %lu cancelled %ld\n", of.lent, of.blocked, of.taken, of.offloaded, cancelled);
    printf("%ld operations\n", operations - first);
    return 0;
}
