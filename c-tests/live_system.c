/* A thread in system waits for a shell that waits for another thread of this program: both end.
 * covers: system popen pclose
 * proof: green_threads>=2 parks>=1 kernel_threads_peak<=12
 * processors: 4
 */
#include "ctest.h"

static int ends[2];

static void *runs_shell(void *argument)
{
    char command[64];
    snprintf(command, sizeof command, "read word <&%d; test $word = go", ends[0]);
    CHECK_IS(argument ? pclose(popen(command, "r")) : system(command), 0);
    return NULL;
}

static void *feeds_it(void *argument)
{
    nap(5);
    CHECK_IS(write(ends[1], "go\n", 3), 3);
    return argument;
}

int main(void)
{
    CHECK_IS(pipe(ends), 0);
    for (int i = 0; i < 2; i++) {
        pthread_t shell = spawn(runs_shell, i ? ends : NULL), feeder = spawn(feeds_it, NULL);
        join(shell);
        join(feeder);
        say("%s: its shell was fed by another thread", i ? "popen, pclose" : "system");
    }
    return 0;
}
