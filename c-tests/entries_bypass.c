/* Calls that bypass the preload park all the same: functions found by dlsym in libc's own handle, and those of a library that was loaded
 * with RTLD_DEEPBIND (zlib's gzread). What they answer, errno and bad descriptors too, is libc's.
 * covers: read write recv poll
 * proof: green_threads>=80 parks>=80 entries>=40 hooks.read>=20 hooks.recv>=20 hooks.poll>=20 hooks.usleep>=1 kernel_threads_peak<=16
 * processors: 4
 */
#include "ctest.h"
#include <dlfcn.h>
#include <sys/socket.h>

enum { EACH = 20 };
static void *libc, *zlib;
static int quiet[4][EACH][2];
static atomic_int waiting;

static void *of_libc(const char *name)
{
    void *function = dlsym(libc, name);
    CHECK(function);
    return function;
}

static void *reads(void *ends)
{
    ssize_t (*its_read)(int, void *, size_t) = of_libc("read");
    char text[8];
    waiting++;
    CHECK_IS(its_read(*(int *)ends, text, sizeof text), 5);
    CHECK(memcmp(text, "hello", 5) == 0);
    CHECK_FAILS(its_read(-1, text, 1), EBADF);
    return NULL;
}

static void *receives(void *ends)
{
    ssize_t (*its_recv)(int, void *, size_t, int) = of_libc("recv");
    char text[8];
    CHECK_FAILS(its_recv(*(int *)ends, text, sizeof text, MSG_DONTWAIT), EAGAIN);
    waiting++;
    CHECK_IS(its_recv(*(int *)ends, text, sizeof text, 0), 5);
    CHECK_FAILS(its_recv(-1, text, 1, 0), EBADF);
    return NULL;
}

static void *polls(void *ends)
{
    int (*its_poll)(struct pollfd *, nfds_t, int) = of_libc("poll");
    struct pollfd entry = {*(int *)ends, POLLIN, 0};
    CHECK_IS(its_poll(&entry, 1, 0), 0);
    waiting++;
    CHECK_IS(its_poll(&entry, 1, -1), 1);
    CHECK(entry.revents & POLLIN);
    return NULL;
}

static void *unzips(void *ends)
{
    void *(*gzdopen)(int, const char *) = dlsym(zlib, "gzdopen");
    int (*gzread)(void *, void *, unsigned) = dlsym(zlib, "gzread");
    int (*gzclose)(void *) = dlsym(zlib, "gzclose");
    char text[8];
    CHECK(gzdopen && gzread && gzclose);
    void *file = gzdopen(*(int *)ends, "r");
    CHECK(file);
    waiting++;
    CHECK_IS(gzread(file, text, sizeof text), 5);
    CHECK(memcmp(text, "hello", 5) == 0);
    CHECK_IS(gzclose(file), 0);
    return NULL;
}

int main(void)
{
    void *(*const kinds[])(void *) = {reads, receives, polls, unzips};
    pthread_t thread[4][EACH];
    CHECK((libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD)) != NULL);
    CHECK((zlib = dlopen("libz.so.1", RTLD_NOW | RTLD_DEEPBIND)) != NULL);
    for (int kind = 0; kind < 4; kind++)
        for (int i = 0; i < EACH; i++) {
            CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, quiet[kind][i]), 0);
            thread[kind][i] = spawn(kinds[kind], quiet[kind][i]);
        }
    unsigned (*its_sleep)(unsigned) = of_libc("sleep");
    int (*its_usleep)(useconds_t) = of_libc("usleep");
    CHECK_IS(its_sleep(0), 0);
    do
        CHECK_IS(its_usleep(3000), 0);
    while (waiting < 4 * EACH);
    ssize_t (*its_write)(int, const void *, size_t) = of_libc("write");
    for (int kind = 0; kind < 4; kind++)
        for (int i = 0; i < EACH; i++) {
            CHECK_IS(its_write(quiet[kind][i][1], "hello", 5), 5);
            CHECK_IS(close(quiet[kind][i][1]), 0);
            join(thread[kind][i]);
        }
    say("read, recv, poll of libc's handle, gzread of a library bound deeply: %d threads each", EACH);
    return 0;
}
