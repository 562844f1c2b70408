/* main returns while threads are blocked and while one prints for ever into its own buffer: the program ends with main's value.
 * covers: exit nanosleep
 * uncounted: exit nanosleep
 * proof: green_threads>=3 parks>=1
 * exit: 6
 */
#include "ctest.h"

static atomic_bool printed;

static void *blocked(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static void *prints(void *argument)
{
    FILE *nowhere = fopen("/dev/null", "w");
    CHECK(nowhere != NULL);
    for (;;) {
        fprintf(nowhere, "line\n");
        printed = true;
    }
    return argument;
}

int main(void)
{
    spawn(blocked, NULL);
    spawn(blocked, NULL);
    spawn(prints, NULL);
    while (!printed)
        nap(1);
    printf("what is in the buffer is written"); /* without an end of line, by exit */
    return 6;
}
