/* System calls that take as long as the test wants: they are caught on their way into the kernel, and a child decides.
 *
 * A filter (seccomp) stops the callers of some calls inside the kernel, as a slow disk would, until another process has said what
 * becomes of each call. That needs no rights, no slow device and no file system of the test's own. */
#ifndef CTEST_SUPERVISOR_H
#define CTEST_SUPERVISOR_H

#include "ctest.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { MOST_SUPERVISED = 16 };

/* Makes the system calls of these numbers wait for an answer, also those of the children to come; gives where they are reported. */
static inline int catch_calls(const int *numbers, int count)
{
    struct sock_filter filter[MOST_SUPERVISED + 3];
    int length = 0;
    CHECK(count <= MOST_SUPERVISED);
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < count; i++)
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[i], count - i, 0);
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    struct sock_fprog program = {length, filter};
    CHECK_IS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    int reports = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    CHECK(reports >= 0);
    return reports;
}

/* The next call that waits; its thread may have been interrupted, and come again under another id. */
static inline bool next_call(int reports, struct seccomp_notif *call)
{
    *call = (struct seccomp_notif){0};
    return ioctl(reports, SECCOMP_IOCTL_NOTIF_RECV, call) == 0;
}

/* The kernel shall make the call after all. */
static inline void let_call(int reports, uint64_t id)
{
    struct seccomp_notif_resp answer = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    if (ioctl(reports, SECCOMP_IOCTL_NOTIF_SEND, &answer) != 0)
        CHECK(errno == ENOENT);
}

/* Answers the call without making it. */
static inline void answer_call(int reports, uint64_t id, int64_t value)
{
    struct seccomp_notif_resp answer = {.id = id, .val = value};
    if (ioctl(reports, SECCOMP_IOCTL_NOTIF_SEND, &answer) != 0)
        CHECK(errno == ENOENT);
}

#endif
