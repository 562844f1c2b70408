/* system, popen and pclose from threads side by side: output, input, exit statuses, and what no shell runs.
 * covers: system popen pclose
 * proof: green_threads>=4 parks>=1 kernel_threads_peak<=12
 * processors: 4
 */
#include "ctest.h"

static void *runs(void *argument)
{
    char line[64], command[64];
    int number = (intptr_t)argument;
    CHECK(system(NULL) != 0);
    snprintf(command, sizeof command, "exit %d", 10 + number);
    int status = system(command);
    CHECK(WIFEXITED(status));
    CHECK_IS(WEXITSTATUS(status), 10 + number);
    status = system("kill -TERM $$");
    CHECK(WIFSIGNALED(status));
    CHECK_IS(WTERMSIG(status), SIGTERM);

    snprintf(command, sizeof command, "echo from %d; exit 4", number);
    FILE *output = popen(command, "r");
    CHECK(output != NULL);
    CHECK(fgets(line, sizeof line, output) != NULL);
    CHECK_IS(atoi(line + 5), number);
    CHECK(fgets(line, sizeof line, output) == NULL);
    CHECK_IS(WEXITSTATUS(pclose(output)), 4);
    return NULL;
}

static void *feeds(void *argument)
{
    FILE *input = popen("while read line; do set -- $line $#; done; test $line. = . && exit 7", "w");
    CHECK(input != NULL);
    for (int i = 0; i < 100; i++)
        CHECK(fprintf(input, "line %d\n", i) > 0);
    CHECK_IS(WEXITSTATUS(pclose(input)), 7);
    CHECK(popen("true", "neither") == NULL);
    CHECK_IS(errno, EINVAL);
    return argument;
}

int main(void)
{
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++)
        threads[i] = spawn(i < 3 ? runs : feeds, (void *)i);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    say("system: exit statuses, a signal; popen: read from and written to; a bad mode EINVAL");
    return 0;
}
