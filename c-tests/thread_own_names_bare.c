/* Without /proc a thread sets and reads its own name, main too, and gets ENOENT for another's.
 * covers: pthread_setname_np pthread_getname_np prctl
 * proof: green_threads>=2 parks>=1
 * needs: root
 */
#include "ctest.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

static pthread_t main_thread;

static void name(const char *who, const char *wanted)
{
    char got[16] = "", own[16] = "";
    CHECK_IS(pthread_setname_np(pthread_self(), wanted), 0);
    CHECK_IS(pthread_getname_np(pthread_self(), got, sizeof got), 0);
    CHECK_IS(prctl(PR_GET_NAME, own), 0);
    say("%s: %s, %s", who, got, own);
}

static void *run(void *argument)
{
    char got[16] = "";
    name("thread", "weaver");
    int set = pthread_setname_np(main_thread, "other"), read = pthread_getname_np(main_thread, got, sizeof got);
    say("main's from a thread: %s, %s", strerror(set), strerror(read));
    return argument;
}

static void *waits(void *argument)
{
    pthread_barrier_wait(argument);
    return NULL;
}

int main(void)
{
    char got[16] = "";
    pthread_barrier_t end;
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", "/proc", "tmpfs", 0, NULL))
        skip("mounts of one's own are refused here");
    main_thread = pthread_self();
    join(spawn(run, NULL));
    name("main", "chief");
    CHECK_IS(prctl(PR_SET_NAME, "chieftain"), 0);
    name("main again", "chief");
    CHECK_IS(pthread_barrier_init(&end, NULL, 2), 0);
    pthread_t other = spawn(waits, &end);
    int set = pthread_setname_np(other, "other"), read = pthread_getname_np(other, got, sizeof got);
    say("a thread's from main: %s, %s", strerror(set), strerror(read));
    pthread_barrier_wait(&end);
    join(other);
    return 0;
}
