/* Other descriptors whose read waits: timerfd, signalfd, inotify, a pidfd to be polled.
 * covers: read poll
 * proof: green_threads>=3 parks>=4 hooks.read>=3 hooks.poll>=1
 */
#include "ctest.h"
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static void timer(void)
{
    uint64_t ticks = 0;
    struct itimerspec time = {.it_interval = {0, 1000000}, .it_value = {0, 5000000}};
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    long long begin = now_ms();
    CHECK_IS(timerfd_settime(fd, 0, &time, NULL), 0);
    CHECK_IS(read(fd, &ticks, sizeof ticks), sizeof ticks);
    CHECK(ticks >= 1 && now_ms() - begin >= 4);
    CHECK_IS(read(fd, &ticks, sizeof ticks), sizeof ticks);
    say("timerfd: twice");
    CHECK_FAILS(read(fd, &ticks, 1), EINVAL);
    close(fd);
}

static void *signaller(void *unused)
{
    nap(2);
    kill(getpid(), SIGUSR1);
    return unused;
}

static void signals(void)
{
    sigset_t set;
    struct signalfd_siginfo info = {0};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    int fd = signalfd(-1, &set, 0);
    pthread_t thread = spawn(signaller, NULL);
    CHECK_IS(read(fd, &info, sizeof info), sizeof info);
    CHECK(info.ssi_signo == SIGUSR1 && (pid_t)info.ssi_pid == getpid());
    say("signalfd: SIGUSR1");
    join(thread);
    close(fd);
}

static char directory[PATH_MAX], file[PATH_MAX + 8];

static void *creator(void *unused)
{
    nap(2);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    return unused;
}

static void watching(void)
{
    union {
        struct inotify_event event;
        char space[sizeof(struct inotify_event) + NAME_MAX + 1];
    } record;
    make_directory(directory);
    snprintf(file, sizeof file, "%s/new", directory);
    int fd = inotify_init1(0);
    CHECK(inotify_add_watch(fd, directory, IN_CREATE) >= 0);
    pthread_t thread = spawn(creator, NULL);
    CHECK(read(fd, &record, sizeof record) >= (ssize_t)sizeof(struct inotify_event));
    say("inotify: %s", record.event.name);
    join(thread);
    close(fd);
    unlink(file);
    rmdir(directory);
}

static void process(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        nap(2);
        _exit(7);
    }
    struct pollfd entry = {pidfd_open(child, 0), POLLIN, 0};
    CHECK_IS(poll(&entry, 1, -1), 1);
    CHECK_IS(entry.revents, POLLIN);
    CHECK_IS(waitpid(child, &status, WNOHANG), child);
    say("pidfd: the child ended with %d", WEXITSTATUS(status));
    close(entry.fd);
}

int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    in_thread(timer);
    in_thread(signals);
    in_thread(watching);
    in_thread(process);
    return 0;
}
