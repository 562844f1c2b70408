/* A leak check sees what only threads hold: on stacks, in thread-locals, in keys, in registers, whatever they wait in.
 * covers: dl_iterate_phdr
 * proof: green_threads>=12 parks>=8
 * stderr: the sanitizer names process and threads
 * needs: asan
 * cflags: -fsanitize=address -static-libasan
 */
#include "ctest.h"
#include <link.h>
#include <sanitizer/lsan_interface.h>
#include <semaphore.h>
#include <sys/socket.h>

enum { PARKED = 9, BYTES = 1000 };

/* Newer compilers' default is 1: frames that lie on AddressSanitizer's heap are not seen (README says so). */
const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=0";
}

static atomic_int ready;
static int pipe_fds[2], socket_fds[2];
static pthread_mutex_t taken = PTHREAD_MUTEX_INITIALIZER, mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t none;
static pthread_t reader;
static pthread_key_t key;
static _Thread_local char *volatile local;
static atomic_bool stop;

static char *block(void)
{
    char *bytes = malloc(BYTES);
    CHECK(bytes);
    memset(bytes, 1, BYTES);
    return bytes;
}

static void *parked(void *which)
{
    char *volatile held = NULL;
    char byte;
    struct pollfd wanted = {.fd = pipe_fds[0], .events = POLLIN};
    if ((intptr_t)which % 3 == 0)
        held = block();
    else if ((intptr_t)which % 3 == 1)
        local = block();
    else
        CHECK_IS(pthread_setspecific(key, block()), 0);
    ready++;
    switch ((intptr_t)which) {
    case 0: CHECK_IS(read(pipe_fds[0], &byte, 1), 1); break;
    case 1: CHECK_IS(recv(socket_fds[0], &byte, 1, 0), 1); break;
    case 2: pthread_mutex_lock(&taken); break;
    case 3: pthread_mutex_lock(&mutex); pthread_cond_wait(&never, &mutex); break;
    case 4: sleep(100); break;
    case 5: sem_wait(&none); break;
    case 6: poll(&wanted, 1, -1); break;
    case 7: pthread_join(reader, NULL); break;
    default: pause();
    }
    return held;
}

/* Computes, with the block's address in a register or on its stack. */
static void *running(void *unused)
{
    char *held = block();
    (void)unused;
    ready++;
    while (!stop)
        __asm__ volatile("" : "+r"(held));
    free(held);
    return NULL;
}

static void *checks(void *unused)
{
    char *volatile held = block();
    CHECK_IS(__lsan_do_recoverable_leak_check(), 0);
    free(held);
    return unused;
}

static void *ends(void *unused)
{
    char *volatile held = block();
    say("done");
    exit(held ? 0 : 1);
    return unused;
}

static int count(struct dl_phdr_info *info, size_t bytes, void *modules)
{
    CHECK(bytes == sizeof *info && info->dlpi_name);
    return ++*(int *)modules == 2 ? 7 : 0;
}

int main(void)
{
    int modules = 0;
    CHECK_IS(pipe(pipe_fds), 0);
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, socket_fds), 0);
    CHECK_IS(pthread_key_create(&key, free), 0);
    sem_init(&none, 0, 0);
    pthread_mutex_lock(&taken);
    reader = spawn(parked, (void *)0);
    for (intptr_t i = 1; i < PARKED; i++)
        spawn(parked, (void *)i);
    pthread_t runs = spawn(running, NULL);
    while (ready < PARKED + 1)
        nap(1);
    nap(20);
    CHECK(dl_iterate_phdr(count, &modules) == 7 && modules == 2);
    CHECK_IS(__lsan_do_recoverable_leak_check(), 0);
    join(spawn(checks, NULL));
    stop = true;
    join(runs);
    join(spawn(ends, NULL));
}
