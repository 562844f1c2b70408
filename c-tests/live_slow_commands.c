/* Threads that wait in system, or in fgets and pclose after popen, for commands that take long keep nobody else from running.
 * covers: system pclose
 * proof: green_threads>=42 parks>=40 hooks.system>=20 hooks.pclose>=20 kernel_threads_peak<=30
 * processors: 4
 */
#include "ticker.h"

static int ends[2];
static char command[64];

/* The commands end when nobody can write into the pipe any longer. */
static void make_command(void)
{
    CHECK_IS(pipe2(ends, O_CLOEXEC), 0);
    snprintf(command, sizeof command, "read word </proc/%d/fd/%d; echo done", getpid(), ends[0]);
}

static void run_system(void)
{
    char silent[80];
    snprintf(silent, sizeof silent, "%s >/dev/null", command);
    CHECK_IS(system(silent), 0);
}

static void run_popen(void)
{
    char line[16] = "";
    FILE *output = popen(command, "r");
    CHECK(output != NULL);
    CHECK(fgets(line, sizeof line, output) != NULL);
    CHECK(strcmp(line, "done\n") == 0);
    CHECK_IS(pclose(output), 0);
}

static void end_commands(void)
{
    close(ends[1]);
}

int main(void)
{
    tick_while_stuck(&(struct way){"system", make_command, run_system, end_commands});
    close(ends[0]);
    tick_while_stuck(&(struct way){"popen", make_command, run_popen, end_commands});
    return 0;
}
