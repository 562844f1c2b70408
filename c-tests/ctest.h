/* What every c-test shares: a time limit, checks that say what went wrong, and threads in one line.
 *
 * Include it first. The time limit needs no call: SIGALRM ends a test that hangs after 20 seconds (and so each child of in_child).
 * A check that fails prints its place, its text and errno, and ends the program with status 1, from whatever thread. */
#ifndef CTEST_H
#define CTEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef CTEST_SECONDS
#define CTEST_SECONDS 20
#endif

__attribute__((constructor)) static void ctest_limit(void)
{
    alarm(CTEST_SECONDS);
}

/* Prints one line of the expected output, whole, at once (so that nothing is left in the buffer at a fork). */
__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    flockfile(stdout);
    fwrite(line, 1, length, stdout);
    fflush(stdout);
    funlockfile(stdout);
}

/* The name of an error ("EAGAIN"); "0" for none. */
static inline const char *error_name(int error)
{
    const char *name = error ? strerrorname_np(error) : "0";
    return name ? name : "unknown";
}

/* Natively a limit of the user's is no fault of the test's: status 77 and its last line say that it is skipped. A green run that comes
 * here differs from the native one. */
__attribute__((noreturn)) static inline void check_failed(const char *file, int line, const char *what, int error)
{
    if (error == EMFILE || error == ENFILE) {
        say("the limit of descriptors is too low (%s:%d: %s)", file, line, what);
        _exit(77);
    }
    if (error == EAGAIN && (strstr(what, "pthread_create(") || strstr(what, "fork("))) {
        say("the limit of threads or of memory is too low (%s:%d: %s)", file, line, what);
        _exit(77);
    }
    say("FAIL %s:%d: %s (errno %s)", file, line, what, error_name(error));
    _exit(1);
}

/* The condition must hold. */
#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition, errno))

/* The call must give this value; what it gave instead is printed. */
#define CHECK_IS(call, value)                                                                       \
    do {                                                                                            \
        long long check_got = (long long)(call), check_wanted = (long long)(value);                 \
        int check_error = errno;                                                                    \
        if (check_got != check_wanted) {                                                            \
            say("FAIL %s:%d: %s gave %lld, not %lld", __FILE__, __LINE__, #call, check_got, check_wanted); \
            check_failed(__FILE__, __LINE__, #call, check_error);                                   \
        }                                                                                           \
    } while (0)

/* The call must give -1 and this errno. */
#define CHECK_FAILS(call, error)                                                                    \
    do {                                                                                            \
        errno = 0;                                                                                  \
        CHECK_IS(call, -1);                                                                         \
        if (errno != (error))                                                                       \
            check_failed(__FILE__, __LINE__, #call " should fail with " #error, errno);             \
    } while (0)

/* This machine cannot run the test: its last line says why, and the harness counts it as skipped (natively only: a green run that
 * comes here differs from the native one). */
__attribute__((noreturn, format(printf, 1, 2))) static inline void skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    _exit(77);
}

/* A thread in one line; joined, it gives what its function returned. */
static inline pthread_t spawn(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    errno = pthread_create(&thread, NULL, function, argument);
    if (errno == EAGAIN)
        skip("the limit of threads or of memory is too low for a thread more");
    CHECK(errno == 0);
    return thread;
}

static inline void *join(pthread_t thread)
{
    void *result;
    errno = pthread_join(thread, &result);
    CHECK(errno == 0);
    return result;
}

static inline void *ctest_call(void *function)
{
    (*(void (**)(void))function)();
    return NULL;
}

/* Runs the function on a thread of its own and waits for its end: what it calls is called by a green thread. */
static inline void in_thread(void (*function)(void))
{
    join(spawn(ctest_call, &function));
}

/* Runs the function in a forked child, which then ends with status 0; gives the status that waitpid saw. */
static inline int in_child(void (*function)(void))
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CTEST_SECONDS);
        function();
        _exit(0);
    }
    CHECK_IS(waitpid(child, &status, 0), child);
    return status;
}

/* Makes a directory of the test's own and writes its path; who asked removes it. */
static inline void make_directory(char path[PATH_MAX])
{
    const char *parent = getenv("TMPDIR");
    snprintf(path, PATH_MAX, "%s/ctest-" "XX" "XX" "XX", parent ? parent : "/tmp");
    CHECK(mkdtemp(path));
}

/* Writes a name for an object that outlives its process (a queue, a semaphore). No process had it before: the number alone comes again, and
 * a test that was killed leaves its object behind. */
static inline void make_name(char name[64])
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    snprintf(name, 64, "/ctest-%d-%lld.%09ld", (int)getpid(), (long long)now.tv_sec, now.tv_nsec);
}

/* A file in memory, for tests of reads and writes: a disk that others keep busy makes a call wait for as long as it likes, which green is
 * a hand-over. */
static inline FILE *memory_file(void)
{
    int fd = memfd_create("ctest", MFD_CLOEXEC);
    return fd < 0 ? NULL : fdopen(fd, "w+");
}

/* Lets others run for a while. Never what a result depends on. */
static inline void nap(int milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

/* Milliseconds on the monotonic clock, for bounds. */
static inline long long now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

#endif
