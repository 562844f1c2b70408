/* Libraries with thread-locals whose constructors and destructors make threads, wait for data and sleep: loaded and closed by eight threads
 * at once, while others tick, walk the libraries, look symbols up and make threads.
 * covers: pthread_create pthread_join recv pthread_mutex_lock nanosleep
 * library: yes
 * proof: green_threads>=20 parks>=50 hooks.recv>=5
 */
#include "ctest.h"
#include <sys/socket.h>

#ifdef LIBRARY

enum { HELPERS = 5 };

static __thread char own[3000] = {1};
__thread int counter = 41;
static int pair[2], ran;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *helps(void *unused)
{
    nap(1);
    CHECK_IS(++counter, 42);
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    ran++;
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    CHECK_IS(write(pair[1], "x", 1), 1);
    return unused;
}

static void help(int helpers)
{
    char byte;
    pthread_t threads[HELPERS];
    for (int i = 0; i < helpers; i++)
        threads[i] = spawn(helps, NULL);
    for (int i = 0; i < helpers; i++)
        CHECK_IS(recv(pair[0], &byte, 1, 0), 1);
    for (int i = 0; i < helpers; i++)
        join(threads[i]);
}

__attribute__((constructor)) static void begin(void)
{
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    help(HELPERS);
    CHECK_IS(ran, HELPERS);
    nap(2);
}

__attribute__((destructor)) static void end(void)
{
    help(1);
    close(pair[0]);
    close(pair[1]);
}

int use(void)
{
    CHECK_IS(own[0], 1);
    own[1]++;
    return ++counter;
}

#else

#include <dlfcn.h>
#include <link.h>

enum { LOADERS = 8, TIMES = 3 };

static char path[PATH_MAX];
static atomic_bool stop;
static atomic_int ticks;

static void *tick(void *unused)
{
    for (; !stop; ticks++)
        nap(1);
    return unused;
}

static int count(struct dl_phdr_info *info, size_t bytes, void *number)
{
    (void)info;
    (void)bytes;
    ++*(int *)number;
    return 0;
}

static void *look(void *unused)
{
    while (!stop) {
        int libraries = 0;
        dl_iterate_phdr(count, &libraries);
        CHECK(libraries > 2);
        CHECK(dlsym(RTLD_DEFAULT, "malloc") != NULL);
        nap(1);
    }
    return unused;
}

static void *nothing(void *argument) { return argument; }

static void *create(void *unused)
{
    while (!stop) {
        join(spawn(nothing, NULL));
        nap(1);
    }
    return unused;
}

static void *loads(void *unused)
{
    /* On a busy machine the others may not have begun. */
    for (int i = 0; i < TIMES || ticks == 0; i++) {
        void *library = dlopen(path, RTLD_NOW);
        CHECK(library != NULL);
        int (*use)(void) = (int (*)(void))dlsym(library, "use");
        CHECK(use != NULL);
        int first = use();
        nap(1);
        CHECK_IS(use(), first + 1);
        CHECK(dlsym(library, "absent") == NULL);
        nap(1);
        CHECK(strstr(dlerror(), "absent") != NULL);
        CHECK_IS(dlclose(library), 0);
    }
    return unused;
}

int main(int argument_count, char **arguments)
{
    pthread_t others[3], loaders[LOADERS];
    (void)argument_count;
    snprintf(path, sizeof path, "%s.so", arguments[0]);
    others[0] = spawn(tick, NULL);
    others[1] = spawn(look, NULL);
    others[2] = spawn(create, NULL);
    for (int i = 0; i < LOADERS; i++)
        loaders[i] = spawn(loads, NULL);
    for (int i = 0; i < LOADERS; i++)
        join(loaders[i]);
    CHECK(ticks > 0);
    stop = true;
    for (int i = 0; i < 3; i++)
        join(others[i]);
    say("loaded and closed by %d threads, %d times each and more", LOADERS, TIMES);
    return 0;
}

#endif
