/* Kernel state that belongs to one thread stays with it and out of others: unshare, setns, prctl's settings, file ids, capabilities.
 * covers: unshare setns prctl setfsuid setfsgid capset personality iopl ioperm
 * proof: green_threads>=26 parks>=1 kernel_threads_peak<=12
 * processors: 4
 */
#include "ctest.h"
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/io.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

extern int capset(cap_user_header_t header, const cap_user_data_t sets);

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

/* What any thread may set: what it has already. */
static void *sets_its_own(void *argument)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    CHECK_IS(setfsuid(geteuid()), geteuid());
    CHECK_IS(setfsgid(getegid()), getegid());
    nap(1);
    CHECK_IS(setfsuid(-1), geteuid());
    CHECK_IS(setfsgid(-1), getegid());
    CHECK_IS(syscall(SYS_capget, &header, sets), 0);
    CHECK_IS(capset(&header, sets), 0);
    CHECK_FAILS(capset(NULL, sets), EFAULT);
    int mine = personality(0xffffffff);
    CHECK_IS(personality(mine), mine);
    nap(1);
    CHECK_IS(personality(0xffffffff), mine);
    CHECK_IS(syscall(SYS_capset, &header, sets), 0);
    CHECK_IS(syscall(SYS_setresuid, -1, -1, -1), 0);
    CHECK_IS(syscall(SYS_setregid, -1, getegid()), 0);
    CHECK_IS(unshare(0), 0);
    if (iopl(0) == 0) { /* some kernels have no such calls */
        CHECK_IS(ioperm(0x80, 1, 0), 0);
        CHECK_FAILS(iopl(4), EINVAL);
    }
    CHECK_IS(ioperm(-1, 2, 1), -1);
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
    pthread_t many[24];
    for (int i = 0; i < 24; i++)
        many[i] = spawn(sets_its_own, NULL);
    for (int i = 0; i < 24; i++)
        join(many[i]);
    join(staying);
    stays(&slack);
    say("one thread's folder and timer slack: its own");
    return 0;
}
