/* An ordinary user's program that has used up its limit of processes once its threads exist (RLIMIT_NPROC): a pthread_create says EAGAIN or
 * succeeds, a fork says EAGAIN, and threads that wait by instructions of their own, in futexes and in a read, share what kernel threads
 * there are. When the limit is lifted all goes on.
 * covers: usleep pthread_join fork setrlimit
 * proof: green_threads>=8 parks>=16 kernel_threads_peak<=12
 * processors: 4
 */
#include "standing.h"
#include <sys/resource.h>

enum { NOBODYS_USER = 54321 };

static void limit(rlim_t processes)
{
    struct rlimit now;
    CHECK_IS(getrlimit(RLIMIT_NPROC, &now), 0);
    now.rlim_cur = processes < now.rlim_max ? processes : now.rlim_max;
    CHECK_IS(setrlimit(RLIMIT_NPROC, &now), 0);
}

static void *ends_at_once(void *argument)
{
    return argument;
}

int main(void)
{
    pthread_t late;
    bool was_root = getuid() == 0;
    if (was_root)
        CHECK_IS(setresuid(NOBODYS_USER, NOBODYS_USER, 0), 0);
    begin_standing();
    limit(1);
    int created = pthread_create(&late, NULL, ends_at_once, NULL);
    CHECK(created == 0 || created == EAGAIN);
    if (created == 0)
        join(late);
    CHECK(fork() == -1 && errno == EAGAIN);
    join_standing();
    say("woken");
    limit(RLIM_INFINITY);
    for (int i = 0; i < 20; i++) {
        join(spawn(ends_at_once, NULL));
        usleep(1); /* parks, where the join may find the thread ended */
    }
    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    int status;
    CHECK_IS(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    if (was_root)
        CHECK_IS(setresuid(0, 0, 0), 0);
    say("done");
    return 0;
}
