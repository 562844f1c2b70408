/* Who goes first: a waiting writer keeps new readers out where the lock prefers writers, and does not where it prefers readers.
 * covers: pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_rwlock_tryrdlock pthread_rwlock_timedrdlock pthread_rwlock_unlock
 * proof: green_threads>=4 parks>=2
 */
#include "deadlines.h"

static pthread_rwlock_t lock;
static atomic_bool wrote, read_after;

static void *writer(void *argument)
{
    CHECK_IS(pthread_rwlock_wrlock(&lock), 0);
    CHECK(!read_after);
    wrote = true;
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    return argument;
}

static void *late_reader(void *argument)
{
    CHECK_IS(pthread_rwlock_rdlock(&lock), 0);
    read_after = true;
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    return argument;
}

static void make(int kind)
{
    pthread_rwlockattr_t attributes;
    CHECK_IS(pthread_rwlockattr_init(&attributes), 0);
    CHECK_IS(pthread_rwlockattr_setkind_np(&attributes, kind), 0);
    CHECK_IS(pthread_rwlock_init(&lock, &attributes), 0);
    wrote = read_after = false;
    CHECK_IS(pthread_rwlock_rdlock(&lock), 0);
}

static void prefers_writers(void)
{
    make(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_t waiting = spawn(writer, NULL);
    int error;
    while ((error = pthread_rwlock_tryrdlock(&lock)) == 0) { /* until the writer waits */
        CHECK_IS(pthread_rwlock_unlock(&lock), 0);
        nap(1);
    }
    CHECK_IS(error, EBUSY);
    struct timespec deadline = in_ms(CLOCK_REALTIME, 2);
    CHECK_IS(pthread_rwlock_timedrdlock(&lock, &deadline), ETIMEDOUT);
    pthread_t late = spawn(late_reader, NULL);
    nap(2);
    CHECK(!wrote && !read_after);
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    join(waiting);
    join(late);
    CHECK(wrote && read_after);
    say("prefers writers: new readers wait for the waiting writer");
}

static void reads(void)
{
    CHECK_IS(pthread_rwlock_tryrdlock(&lock), 0);
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    CHECK_IS(pthread_rwlock_rdlock(&lock), 0);
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
}

static void prefers_readers(void)
{
    make(PTHREAD_RWLOCK_PREFER_READER_NP);
    pthread_t waiting = spawn(writer, NULL);
    nap(2); /* whether the writer waits by then or not: readers get in */
    reads();
    in_thread(reads);
    CHECK(!wrote);
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    join(waiting);
    CHECK(wrote);
    say("prefers readers: new readers pass the waiting writer, which gets in at the end");
}

int main(void)
{
    prefers_writers();
    prefers_readers();
    return 0;
}
