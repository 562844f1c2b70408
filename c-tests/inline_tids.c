/* What a tid names for system calls by the program's own instructions: tids.h.
 * covers: getpgid getsid kill prlimit64 setpgid process_vm_readv process_vm_writev sched_getscheduler gettid
 * options: inline=1
 * proof: inline==1 inline_calls>=60 green_threads>=3 parks>=2
 */
#include "inline.h"
#define CALL(...) INLINE(__VA_ARGS__)
#include "tids.h"

int main(void)
{
    sem_init(&tids_told, 0, 0);
    sem_init(&tids_over, 0, 0);
    sem_init(&tids_address_told, 0, 0);
    in_thread(tids_all);
    return 0;
}
