/* open of a FIFO waits for the other end, which another thread opens later, in both directions and by fopen.
 * covers: open
 * proof: green_threads>=6 parks>=1 kernel_threads_peak<=12
 * processors: 4
 */
#include "ctest.h"
#include <sys/stat.h>

static char folder[4096], name[4200];

static void *opens_to_read(void *by_stdio)
{
    char line[16];
    FILE *file;
    if (by_stdio) {
        file = fopen(name, "r");
    } else {
        int fd = open(name, O_RDONLY);
        CHECK(fd >= 0);
        file = fdopen(fd, "r");
    }
    CHECK(file != NULL);
    CHECK(fgets(line, sizeof line, file) != NULL);
    CHECK(strcmp(line, "line\n") == 0);
    CHECK(fgets(line, sizeof line, file) == NULL);
    fclose(file);
    return NULL;
}

static void *opens_to_write(void *argument)
{
    int fd = open(name, O_WRONLY);
    CHECK(fd >= 0);
    CHECK_IS(write(fd, "line\n", 5), 5);
    close(fd);
    return argument;
}

int main(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/c-test-XXXXXX", parent ? parent : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(name, sizeof name, "%s/fifo", folder);
    CHECK_IS(mkfifo(name, 0600), 0);

    for (int i = 0; i < 3; i++) {
        bool reader_first = i != 1;
        pthread_t first = reader_first ? spawn(opens_to_read, i == 2 ? name : NULL) : spawn(opens_to_write, NULL);
        nap(2);
        pthread_t second = reader_first ? spawn(opens_to_write, NULL) : spawn(opens_to_read, NULL);
        join(first);
        join(second);
    }
    say("reader first, writer first, reader by fopen: they met");
    CHECK_IS(unlink(name), 0);
    CHECK_IS(rmdir(folder), 0);
    return 0;
}
