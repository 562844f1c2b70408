/* Once its threads exist, the kernel makes no more: clone answers EAGAIN, as under a limit of processes. Threads wait by instructions of
 * their own, in futexes and in a read, and another wakes them after a sleep: they share what kernel threads there are.
 * covers: usleep pthread_join
 * proof: green_threads>=7 parks>=4 kernel_threads_peak<=12
 * processors: 4
 */
#include "standing.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static void refuse(int call)
{
    struct sock_filter lines[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, lines};
    CHECK_IS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_IS(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program), 0);
}

int main(void)
{
    begin_standing();
    refuse(SYS_clone);
    refuse(SYS_clone3);
    join_standing();
    say("woken");
    return 0;
}
