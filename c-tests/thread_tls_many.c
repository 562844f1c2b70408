/* Each new thread finds the thread-locals of 300 loaded libraries as they were initialised, after threads that changed them all, and
 * when some were closed and loaded again meanwhile.
 * covers: pthread_create pthread_join
 * library: yes
 * proof: green_threads>=12
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"
#include <dlfcn.h>

#ifdef LIBRARY
static __thread long value = 7, zero;

long exchange(long next)
{
    long was = value * 1000 + zero;
    value = zero = next;
    return was;
}
#else
enum { LIBRARIES = 300, CLOSED = 40 };

static char directory[PATH_MAX];
static void *libraries[LIBRARIES];
static long (*exchange[LIBRARIES])(long);

static void name_of(int number, char name[PATH_MAX])
{
    CHECK(snprintf(name, PATH_MAX, "%.4000s/%d.so", directory, number) < PATH_MAX);
}

static void load(int number)
{
    char name[PATH_MAX];
    name_of(number, name);
    libraries[number] = dlopen(name, RTLD_NOW);
    CHECK(libraries[number]);
    *(void **)&exchange[number] = dlsym(libraries[number], "exchange");
    CHECK(exchange[number]);
}

static void copy_all(void)
{
    char path[PATH_MAX], name[PATH_MAX];
    static char text[1 << 20];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 4);
    CHECK(length > 0);
    strcpy(path + length, ".so");
    int from = open(path, O_RDONLY);
    ssize_t bytes = read(from, text, sizeof text);
    CHECK(bytes > 0 && bytes < (ssize_t)sizeof text);
    close(from);
    for (int i = 0; i < LIBRARIES; i++) {
        name_of(i, name);
        int to = open(name, O_WRONLY | O_CREAT, 0700);
        CHECK_IS(write(to, text, bytes), bytes);
        close(to);
    }
}

static void *changes_all(void *argument)
{
    for (int i = 0; i < LIBRARIES; i++)
        CHECK_IS(exchange[i](9), 7000);
    return argument;
}

static void threads(void)
{
    for (int i = 0; i < 4; i++)
        join(spawn(changes_all, NULL));
}

int main(void)
{
    char name[PATH_MAX];
    make_directory(directory);
    copy_all();
    for (int i = 0; i < LIBRARIES; i++)
        load(i);
    threads();
    say("as they were initialised");
    for (int i = 0; i < LIBRARIES; i += LIBRARIES / CLOSED)
        CHECK_IS(dlclose(libraries[i]), 0);
    for (int i = 0; i < LIBRARIES; i += LIBRARIES / CLOSED)
        load(i);
    threads();
    say("some of them loaded again");
    threads();
    for (int i = 0; i < LIBRARIES; i++) {
        name_of(i, name);
        CHECK_IS(unlink(name), 0);
    }
    CHECK_IS(rmdir(directory), 0);
    return 0;
}
#endif
