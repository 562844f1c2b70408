/* Named semaphores join threads of one process and of its child; the last close and the unlink remove them.
 * covers: sem_wait sem_post sem_timedwait sem_trywait fork waitpid
 * proof: green_threads>=1 parks>=1 kernel_threads_peak<=10
 * processors: 4
 */
#include "deadlines.h"
#include <semaphore.h>

static char name[64];
static sem_t *ours;

static void *opens_it_too(void *argument)
{
    sem_t *theirs = sem_open(name, 0);
    CHECK(theirs == ours); /* one process, one mapping */
    CHECK_IS(sem_wait(theirs), 0);
    CHECK_IS(sem_close(theirs), 0);
    return argument;
}

int main(void)
{
    make_name(name);
    CHECK(sem_open(name, 0) == SEM_FAILED && errno == ENOENT);
    CHECK((ours = sem_open(name, O_CREAT | O_EXCL, 0600, 0)) != SEM_FAILED);
    CHECK(sem_open(name, O_CREAT | O_EXCL, 0600, 0) == SEM_FAILED && errno == EEXIST);
    say("created; again, exclusively: EEXIST");

    pthread_t thread = spawn(opens_it_too, NULL);
    nap(1);
    CHECK_IS(sem_post(ours), 0);
    join(thread);
    CHECK_FAILS(sem_trywait(ours), EAGAIN);
    say("a thread opened it too and was let through");

    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CTEST_SECONDS);
        sem_t *theirs = sem_open(name, 0);
        CHECK(theirs != SEM_FAILED);
        nap(1);
        CHECK_IS(sem_post(theirs), 0);
        _exit(0);
    }
    struct timespec deadline = in_ms(CLOCK_REALTIME, 60000);
    CHECK_IS(sem_timedwait(ours, &deadline), 0);
    CHECK_IS(waitpid(child, NULL, 0), child);
    say("a child posted it");

    CHECK_IS(sem_unlink(name), 0);
    CHECK_FAILS(sem_unlink(name), ENOENT);
    CHECK_IS(sem_post(ours), 0);
    CHECK_IS(sem_wait(ours), 0);
    CHECK_IS(sem_close(ours), 0);
    say("unlinked: the name is gone, the open one works on");
    return 0;
}
