/* sync returns, and so does the function syscall with its number.
 * covers: sync
 * proof: green_threads>=1 hooks.sync>=1 hooks.syscall>=1
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
