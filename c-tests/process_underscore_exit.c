/* _exit, _Exit and quick_exit from main and from threads: each runs the handlers that it must, and ends all threads at once.
 * covers: _exit _Exit quick_exit exit waitpid
 * uncounted: _exit _Exit quick_exit
 * proof: green_threads>=1 parks>=8
 */
#include "ctest.h"

static void at_exit(void)
{
    say("  an atexit handler");
}

static void at_quick_exit_handler(void)
{
    say("  an at_quick_exit handler");
}

static void by_exit(int status) { exit(status); }
static void by__exit(int status) { _exit(status); }
static void by__Exit(int status) { _Exit(status); }
static void by_quick_exit(int status) { quick_exit(status); }

static const struct row { const char *name; void (*end)(int); } rows[] = {
    {"exit", by_exit}, {"_exit", by__exit}, {"_Exit", by__Exit}, {"quick_exit", by_quick_exit},
};
static const struct row *row;

static void *blocked(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static void *ends(void *argument)
{
    nap(1);
    row->end(21);
    return argument;
}

static void from_main(void)
{
    spawn(blocked, NULL);
    nap(1);
    row->end(20);
}

static void from_thread(void)
{
    spawn(ends, NULL);
    blocked(NULL);
}

static void body(void)
{
    atexit(at_exit);
    at_quick_exit(at_quick_exit_handler);
    for (row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        say("%s", row->name);
        int status = in_child(from_main);
        CHECK(WIFEXITED(status));
        CHECK_IS(WEXITSTATUS(status), 20);
        status = in_child(from_thread);
        CHECK(WIFEXITED(status));
        CHECK_IS(WEXITSTATUS(status), 21);
    }
    say("and this process:");
}

int main(void)
{
    in_thread(body);
    return 0;
}
