/* A program that filters its own system calls by seccomp gets its SIGSYS on the thread whose call it was, with that call, and its
 * handler's answer is the call's; a SIGSYS that is sent arrives as well.
 * covers: sigaction prctl pthread_kill
 * proof: green_threads>=2 parks>=1 hooks.prctl>=2
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

enum { ANSWER = 4711 };

static _Thread_local int trapped;
static atomic_int sent;

static void on_sigsys(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    if (info->si_code != 1 /* SYS_SECCOMP */) {
        sent++;
        return;
    }
    trapped = info->si_syscall;
#if defined(__x86_64__)
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = ANSWER;
#else
    ((ucontext_t *)context)->uc_mcontext.regs[0] = ANSWER;
#endif
}

static void *is_filtered(void *argument)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_IS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_IS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    CHECK_IS(syscall(SYS_getpriority, 99, 0), ANSWER);
    CHECK_IS(trapped, SYS_getpriority);
    nap(1);
    CHECK_IS(syscall(SYS_getpriority, 99, 0), ANSWER);
    return argument;
}

static void *takes(void *argument)
{
    while (sent == 0)
        nap(1);
    return argument;
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    CHECK_IS(sigaction(SIGSYS, &action, NULL), 0);
    join(spawn(is_filtered, NULL));
    CHECK_IS(trapped, 0);
    say("SIGSYS by seccomp: on its own thread, and the handler answers");
    pthread_t thread = spawn(takes, NULL);
    CHECK_IS(pthread_kill(thread, SIGSYS), 0);
    join(thread);
    say("SIGSYS sent: %d", sent);
    return 0;
}
