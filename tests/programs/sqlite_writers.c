/* SQLite writers that compete for one database: while a child's transaction locks it, twenty connections wait, each on a thread of its
 * own, and one more thread ticks. Then they get it, one after the other. (c-tests/ticker.h) */
#include "../../c-tests/ticker.h"
#include <sqlite3.h>

static char directory[PATH_MAX], path[PATH_MAX + 8];
static int done[2];
static pid_t child;

static void execute(sqlite3 *database, const char *statement)
{
    char *why = NULL;
    if (sqlite3_exec(database, statement, NULL, NULL, &why) != SQLITE_OK)
        check_failed(__FILE__, __LINE__, why ? why : statement, 0);
}

static sqlite3 *connect_to_it(void)
{
    sqlite3 *database;
    CHECK_IS(sqlite3_open(path, &database), SQLITE_OK);
    CHECK_IS(sqlite3_busy_timeout(database, 30000), SQLITE_OK);
    return database;
}

static void begin_in_child(void)
{
    int ready[2];
    char byte;
    CHECK_IS(pipe(done), 0);
    CHECK_IS(pipe(ready), 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CTEST_SECONDS);
        close(done[1]);
        sqlite3 *database = connect_to_it();
        execute(database, "begin immediate; insert into lines values (-1)");
        CHECK_IS(write(ready[1], "x", 1), 1);
        CHECK_IS(read(done[0], &byte, 1), 0);
        execute(database, "commit");
        sqlite3_close(database);
        _exit(0);
    }
    CHECK_IS(read(ready[0], &byte, 1), 1);
}

static void insert(void)
{
    static atomic_int number;
    char statement[64];
    sqlite3 *database = connect_to_it();
    snprintf(statement, sizeof statement, "insert into lines values (%d)", number++);
    execute(database, statement);
    CHECK_IS(sqlite3_close(database), SQLITE_OK);
}

static void commit_in_child(void)
{
    close(done[1]);
    CHECK_IS(waitpid(child, NULL, 0), child);
}

static int say_row(void *unused, int columns, char **values, char **names)
{
    (void)unused, (void)columns, (void)names;
    say("%s lines, from %s to %s", values[0], values[1], values[2]);
    return 0;
}

int main(void)
{
    make_directory(directory);
    snprintf(path, sizeof path, "%s/base", directory);
    sqlite3 *database = connect_to_it();
    execute(database, "create table lines (number integer)");
    sqlite3_close(database);
    tick_while_stuck(&(struct way){"SQLite's insert", begin_in_child, insert, commit_in_child});
    database = connect_to_it();
    CHECK_IS(sqlite3_exec(database, "select count(*), min(number), max(number) from lines", say_row, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
    unlink(path);
    rmdir(directory);
    return 0;
}
