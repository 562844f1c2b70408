/* Threads cancelled inside stdio, in fgets and in fputs to a full pipe: their cleanup handlers run, the FILE's lock is free again, and
 * the stream goes on. A signal handler without SA_RESTART makes fgets fail with EINTR.
 * covers: pthread_cancel read write sigaction pthread_kill
 * proof: green_threads>=5 parks>=5 entries>=40 hooks.read>=4 hooks.write>=1
 */
#include "ctest.h"
#include <sys/socket.h>

static atomic_int entered, cleaned, handled;
static FILE *streams[4][2];
static char block[1 << 17];

static void clean(void *argument)
{
    (void)argument;
    cleaned++;
}

static void *reads(void *stream)
{
    char line[16];
    pthread_cleanup_push(clean, NULL);
    entered++;
    for (;;)
        CHECK(fgets(line, sizeof line, stream));
    pthread_cleanup_pop(0);
}

static void *writes(void *stream)
{
    pthread_cleanup_push(clean, NULL);
    entered++;
    for (;;)
        CHECK(fputs(block, stream) >= 0);
    pthread_cleanup_pop(0);
}

static void *is_interrupted(void *stream)
{
    char line[16];
    entered++;
    CHECK(fgets(line, sizeof line, stream) == NULL);
    CHECK_IS(errno, EINTR);
    CHECK(ferror(stream));
    return NULL;
}

static void handler(int number)
{
    (void)number;
    handled++;
}

int main(void)
{
    pthread_t thread[4];
    memset(block, 'x', sizeof block - 1);
    for (int i = 0; i < 4; i++) {
        int ends[2];
        CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        CHECK((streams[i][0] = fdopen(ends[0], "r+")) && (streams[i][1] = fdopen(ends[1], "r+")));
        thread[i] = spawn(i % 2 ? writes : reads, streams[i][0]);
    }
    while (entered < 4)
        sched_yield();
    for (int i = 1; i < 4; i += 2)
        CHECK_IS(fgetc(streams[i][1]), 'x');
    nap(2);
    for (int i = 0; i < 4; i++) {
        CHECK_IS(pthread_cancel(thread[i]), 0);
        CHECK(join(thread[i]) == PTHREAD_CANCELED);
    }
    CHECK_IS(cleaned, 4);
    for (int i = 0; i < 4; i += 2) {
        char line[16];
        CHECK_IS(ftrylockfile(streams[i][0]), 0);
        funlockfile(streams[i][0]);
        CHECK(fputs("again\n", streams[i][1]) >= 0 && fflush(streams[i][1]) == 0);
        CHECK(fgets(line, sizeof line, streams[i][0]));
        CHECK(strcmp(line, "again\n") == 0);
    }
    for (int i = 1; i < 4; i += 2) {
        CHECK_IS(ftrylockfile(streams[i][0]), 0);
        funlockfile(streams[i][0]);
        CHECK_IS(fread(block, 1, 100, streams[i][1]), 100);
    }
    say("four cancelled in stdio, the streams go on");

    struct sigaction action = {.sa_handler = handler};
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);
    entered = 0;
    thread[0] = spawn(is_interrupted, streams[0][0]);
    while (!entered)
        sched_yield();
    /* One that comes before it reads interrupts nothing. */
    while (pthread_tryjoin_np(thread[0], NULL) == EBUSY) {
        CHECK_IS(pthread_kill(thread[0], SIGUSR1), 0);
        nap(1);
    }
    CHECK(handled >= 1);
    say("interrupted in fgets: EINTR");
    return 0;
}
