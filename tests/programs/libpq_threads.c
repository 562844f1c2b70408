/* A client of PostgreSQL that knows nothing of green threads: 200 threads with a connection each wait for the server together
 * (`select pg_sleep(0.2), $1::int`, then an error, then a notification by another connection) while a ticker thread counts.
 *
 * Usage: libpq_threads CONNINFO */
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 200, ROUNDS = 2 };

static const char *conninfo;
static pthread_barrier_t everybody;
static pthread_mutex_t tally = PTHREAD_MUTEX_INITIALIZER;
static int answers, sum, errors, notified, ticks, ticks_at_start, ticks_while_waiting, finished;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static PGconn *open_connection(void)
{
    PGconn *connection = PQconnectdb(conninfo);
    if (PQstatus(connection) != CONNECTION_OK)
        fail("connect", PQerrorMessage(connection));
    return connection;
}

static int ask_for(PGconn *connection, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    const char *values[] = { text };
    PGresult *result = PQexecParams(connection, "select pg_sleep(0.2), $1::int", 1, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail("select", PQerrorMessage(connection));
    int answer = atoi(PQgetvalue(result, 0, 1));
    PQclear(result);
    if (answer != number)
        fail("select", "somebody else's answer");
    return answer;
}

static void expect_error(PGconn *connection)
{
    PGresult *result = PQexec(connection, "select 1/0");
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (!state || strcmp(state, "22012"))
        fail("select 1/0", PQerrorMessage(connection));
    PQclear(result);
}

static void run(PGconn *connection, const char *command)
{
    PGresult *result = PQexec(connection, command);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail(command, PQerrorMessage(connection));
    PQclear(result);
}

/* Waits as libpq's manual shows: poll on the connection's socket. */
static int await_notification(PGconn *connection)
{
    PGnotify *notification;
    while (!(notification = PQnotifies(connection))) {
        struct pollfd socket = { .fd = PQsocket(connection), .events = POLLIN };
        if (poll(&socket, 1, 30000) != 1 || !PQconsumeInput(connection))
            fail("notification", PQerrorMessage(connection));
    }
    int number = atoi(notification->extra);
    PQfreemem(notification);
    return number;
}

/* All meet; the one that the barrier picks notes how far the ticker had come. */
static int meet(int *note)
{
    if (pthread_barrier_wait(&everybody) != PTHREAD_BARRIER_SERIAL_THREAD)
        return 0;
    pthread_mutex_lock(&tally);
    *note = ticks - ticks_at_start;
    pthread_mutex_unlock(&tally);
    return 1;
}

static void *client(void *argument)
{
    int number = *(int *)argument, total = 0;
    PGconn *connection = open_connection();
    run(connection, "listen news");
    meet(&ticks_at_start);
    for (int round = 0; round < ROUNDS; round++)
        total += ask_for(connection, number + round);
    expect_error(connection);
    if (meet(&ticks_while_waiting))
        run(connection, "notify news, '7'");
    int news = await_notification(connection);
    PQfinish(connection);

    pthread_mutex_lock(&tally);
    answers += ROUNDS;
    sum += total;
    errors++;
    notified += news == 7;
    pthread_mutex_unlock(&tally);
    return NULL;
}

static void *ticker(void *unused)
{
    for (;;) {
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
        pthread_mutex_lock(&tally);
        ticks++;
        int last = finished;
        pthread_mutex_unlock(&tally);
        if (last)
            return unused;
    }
}

int main(int count, char **arguments)
{
    static pthread_t threads[THREADS], clock;
    static int numbers[THREADS];
    if (count != 2)
        fail("usage", "libpq_threads CONNINFO");
    conninfo = arguments[1];
    pthread_barrier_init(&everybody, NULL, THREADS);
    pthread_create(&clock, NULL, ticker, NULL);
    for (int number = 0; number < THREADS; number++) {
        numbers[number] = number;
        if (pthread_create(&threads[number], NULL, client, &numbers[number]))
            fail("thread", "not created");
    }
    for (int number = 0; number < THREADS; number++)
        pthread_join(threads[number], NULL);
    pthread_mutex_lock(&tally);
    finished = 1;
    pthread_mutex_unlock(&tally);
    pthread_join(clock, NULL);
    printf("%d threads: %d answers, sum %d, %d errors, %d notified\n", THREADS, answers, sum, errors, notified);
    /* Two waits of 0.2 s have room for 40 ticks; a fifth of them, on a busy machine, still shows that nobody stopped the clock. */
    puts(ticks_while_waiting >= 8 ? "the ticker went on" : "the ticker stood still");
    return 0;
}
