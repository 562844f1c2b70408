/* What a tid names for the system calls that take one and have no function in libc, or are called past it: tids.h.
 * covers: syscall
 * proof: green_threads>=3 parks>=2 hooks.syscall>=60 kernel_threads_peak<=7
 * processors: 4
 */
#include "ctest.h"
#include <sys/syscall.h>

static long kernel_s(long result)
{
    return result == -1 ? -errno : result;
}
#define CALL(...) kernel_s(syscall(__VA_ARGS__))
#include "tids.h"

int main(void)
{
    sem_init(&tids_told, 0, 0);
    sem_init(&tids_over, 0, 0);
    sem_init(&tids_address_told, 0, 0);
    in_thread(tids_all);
    return 0;
}
