/* popen, and reading and closing what it made: the waits for a slow command park, within libc's own calls; a cancellation while
 * pclose waits is held back until it is done, as libc says.
 * covers: pclose waitpid read pthread_cancel
 * proof: green_threads>=21 parks>=20 entries>=40 hooks.read>=20 hooks.waitpid>=21 kernel_threads_peak<=16
 * processors: 4
 */
#include "ctest.h"

enum { COMMANDS = 20 };
static atomic_int status = -1;
static atomic_bool closing;

static void *runs(void *number)
{
    char command[64], line[32];
    snprintf(command, sizeof command, "sleep 0.3; echo %02d; exit %d", (int)(intptr_t)number, (int)(intptr_t)number);
    FILE *output = popen(command, "r");
    CHECK(output);
    CHECK_IS(fread(line, 1, sizeof line, output), 3);
    CHECK_IS(atoi(line), (intptr_t)number);
    return (void *)(intptr_t)pclose(output);
}

static void *closes(void *argument)
{
    FILE *output = popen("read line; exit 3", "w");
    CHECK(output);
    closing = true;
    status = pclose(output);
    for (;;)
        pthread_testcancel();
    return argument;
}

int main(void)
{
    pthread_t thread[COMMANDS];
    for (int i = 0; i < COMMANDS; i++)
        thread[i] = spawn(runs, (void *)(intptr_t)i);
    for (int i = 0; i < COMMANDS; i++) {
        int ended = (intptr_t)join(thread[i]);
        CHECK(WIFEXITED(ended));
        CHECK_IS(WEXITSTATUS(ended), i);
    }
    say("%d commands", COMMANDS);
    pthread_t closer = spawn(closes, NULL);
    while (!closing)
        sched_yield();
    CHECK_IS(pthread_cancel(closer), 0);
    CHECK(join(closer) == PTHREAD_CANCELED);
    CHECK_IS(WEXITSTATUS(status), 3);
    say("cancelled after pclose");
    return 0;
}
