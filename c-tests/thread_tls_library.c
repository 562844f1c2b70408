/* Each new thread finds a loaded library's `__thread` data as the library initialised it, also after threads that never touched
 * it; and a library that is loaded again after others used it.
 * covers: pthread_create pthread_join
 * library: yes
 * proof: green_threads>=23
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"
#include <dlfcn.h>

#ifdef LIBRARY
__thread int number = 42;
__thread int zero[1000];

int *number_here(void)
{
    return &number;
}

int *zero_here(void)
{
    return zero;
}
#else
static int *(*number_here)(void), *(*zero_here)(void);

static void *load(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 4);
    CHECK(length > 0);
    strcpy(path + length, ".so");
    void *library = dlopen(path, RTLD_NOW);
    CHECK(library);
    *(void **)&number_here = dlsym(library, "number_here");
    *(void **)&zero_here = dlsym(library, "zero_here");
    CHECK(number_here && zero_here);
    return library;
}

static void *does_not_touch(void *argument)
{
    return argument;
}

static void *touches(void *argument)
{
    CHECK_IS(*number_here(), 42);
    CHECK_IS(zero_here()[999], 0);
    *number_here() = zero_here()[999] = 7;
    return argument;
}

static void one_after_another(void)
{
    join(spawn(does_not_touch, NULL));
    for (int i = 0; i < 10; i++)
        join(spawn(touches, NULL));
}

int main(void)
{
    join(spawn(does_not_touch, NULL));
    void *library = load();
    one_after_another();
    say("10 threads found a library's initial values");
    CHECK(dlclose(library) == 0);
    load();
    one_after_another();
    say("and again when it was loaded again");
    return 0;
}
#endif
