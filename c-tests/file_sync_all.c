/* sync returns, and so does the function syscall with its number.
 * covers: sync
 * proof: green_threads>=1 hooks.sync>=1 hooks.syscall>=1 kernel_threads_peak<=10
 * no_park: only main waits, for threads that may have ended before it asks
 * processors: 4
 * stress: no
 */
#include "ctest.h"
#include <sys/syscall.h>

static void all(void)
{
    sync();
    CHECK_IS(syscall(SYS_sync), 0);
    say("everything: written");
}

int main(void)
{
    in_thread(all);
    return 0;
}
