/* Kernel state that belongs to one thread stays with it and out of others: unshare, setns, prctl's settings.
 * covers: unshare setns prctl
 * proof: green_threads>=2 parks>=1
 */
#include "ctest.h"
#include <sched.h>
#include <sys/prctl.h>

static char start[4096];

static void *moves(void *argument)
{
    char folder[4096];
    if (unshare(CLONE_FS) == 0) { /* some containers refuse it */
        CHECK_IS(chdir("/"), 0);
        nap(1);
        CHECK(strcmp(getcwd(folder, sizeof folder), "/") == 0);
    }
    unsigned long slack = prctl(PR_GET_TIMERSLACK);
    CHECK_IS(prctl(PR_SET_TIMERSLACK, slack + 1000), 0);
    nap(1);
    CHECK_IS(prctl(PR_GET_TIMERSLACK), slack + 1000);
    CHECK_FAILS(setns(-1, 0), EBADF);
    CHECK_FAILS(unshare(-1), EINVAL);
    CHECK_FAILS(prctl(-1), EINVAL);
    return argument;
}

static void *stays(void *argument)
{
    char folder[4096];
    nap(2);
    CHECK(strcmp(getcwd(folder, sizeof folder), start) == 0);
    CHECK_IS(prctl(PR_GET_TIMERSLACK), *(int *)argument);
    return NULL;
}

int main(void)
{
    int slack = prctl(PR_GET_TIMERSLACK);
    CHECK(getcwd(start, sizeof start) != NULL);
    pthread_t staying = spawn(stays, &slack);
    join(spawn(moves, NULL));
    join(staying);
    stays(&slack);
    say("one thread's folder and timer slack: its own");
    return 0;
}
