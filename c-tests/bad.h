/* What calls answer to bad input, a line each: the same natively and green, whatever it is.
 *
 * The input comes from variables that the compiler cannot see through, else it would warn of it, and rightly. */
#ifndef CTEST_BAD_H
#define CTEST_BAD_H

#include "ctest.h"
#include <sys/mman.h>

/* The answer of a call that sets errno, and of one that gives the error itself. */
#define TRY(call)                                                                    \
    do {                                                                             \
        errno = 0;                                                                   \
        long long try_value = (long long)(call);                                     \
        int try_error = errno;                                                       \
        say("%s: %lld %s", #call, try_value, try_value < 0 ? error_name(try_error) : ""); \
    } while (0)
#define TRY_ERROR(call) say("%s: %s", #call, error_name(call))

/* For tables of many calls: neighbours that answer alike share a line. */
static struct { char line[1000], last[32]; } answers;

static inline void answers_end(void)
{
    if (answers.line[0])
        say("%s", answers.line);
    answers.line[0] = answers.last[0] = 0;
}

static inline void answers_add(const char *name, long long value, int error)
{
    char answer[32];
    snprintf(answer, sizeof answer, "%lld", value);
    if (value < 0)
        snprintf(answer, sizeof answer, "%s", error_name(error));
    if (strcmp(answer, answers.last) != 0) {
        answers_end();
        snprintf(answers.line, sizeof answers.line, "  %s:", answer);
        strcpy(answers.last, answer);
    }
    strcat(strcat(answers.line, " "), name);
}

static void *volatile null = NULL;
static const volatile int none = -1; /* as a descriptor, a process, a signal… */

/* A page that may not be touched, and the one before it, which may: what runs off its end faults there. */
static inline char *unmapped(void)
{
    static char *pages;
    size_t size = sysconf(_SC_PAGESIZE);
    if (!pages) {
        pages = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(pages != MAP_FAILED);
        CHECK_IS(mprotect(pages + size, size, PROT_NONE), 0);
    }
    return pages + size;
}

static inline char *mapped(void)
{
    return unmapped() - sysconf(_SC_PAGESIZE);
}

/* A number that was a descriptor. */
static inline int closed(void)
{
    int fd = dup(1);
    CHECK(fd >= 0);
    close(fd);
    return fd;
}

#endif
