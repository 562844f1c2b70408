/* Handlers around fork run in the forking thread: prepare last first, the others in order; _Fork and vfork run none.
 * covers: fork __fork _Fork vfork __vfork waitpid
 * proof: green_threads>=1 parks>=1
 */
#include "ctest.h"

static pthread_t forking;
static char called[128];

#define HANDLER(name)                                       \
    static void name(void)                                  \
    {                                                       \
        CHECK(pthread_equal(pthread_self(), forking));      \
        strcat(called, " " #name);                          \
    }
HANDLER(prepare_1)
HANDLER(parent_1)
HANDLER(child_1)
HANDLER(prepare_2)
HANDLER(parent_2)
HANDLER(child_2)

extern pid_t __fork(void);
extern pid_t __vfork(void);

static void await(pid_t child)
{
    int status;
    CHECK(child > 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(status, 0);
}

static void fork_with_handlers(const char *name, pid_t (*function)(void))
{
    called[0] = 0;
    pid_t child = function();
    if (child == 0) {
        say("%s, child:%s", name, called);
        _exit(0);
    }
    await(child);
    say("%s, parent:%s", name, called);
}

static void without_handlers(void)
{
    called[0] = 0;
    pid_t child = _Fork();
    if (child == 0)
        _exit(called[0]);
    await(child);
    child = vfork();
    if (child == 0)
        _exit(called[0]);
    await(child);
    child = __vfork();
    if (child == 0)
        _exit(called[0]);
    await(child);
    CHECK_IS(called[0], 0);
    say("_Fork, vfork: none");
}

static void body(void)
{
    forking = pthread_self();
    fork_with_handlers("fork", fork);
    fork_with_handlers("__fork", __fork);
    without_handlers();
}

int main(void)
{
    CHECK_IS(pthread_atfork(prepare_1, parent_1, child_1), 0);
    CHECK_IS(pthread_atfork(prepare_2, parent_2, child_2), 0);
    in_thread(body);
    return 0;
}
