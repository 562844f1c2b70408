/* A client of Redis that knows nothing of green threads: 200 threads with a connection each set and get, then wait in pairs: the
 * even one in BLPOP until the odd one, whose own BLPOP timed out at the server, pushes. Every tenth then waits past its socket's
 * receive timeout (hiredis sets SO_RCVTIMEO).
 *
 * Usage: hiredis_threads PORT */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 200, ROUNDS = 20, BIG = 300000 };

static int port;
static pthread_barrier_t everybody;
static pthread_mutex_t tally = PTHREAD_MUTEX_INITIALIZER;
static int got, popped, timed_out, cut_off;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void add(int *counter, int amount)
{
    pthread_mutex_lock(&tally);
    *counter += amount;
    pthread_mutex_unlock(&tally);
}

static redisReply *expect(redisContext *server, redisReply *reply, int type)
{
    if (!reply)
        fail("redis", server->errstr);
    if (reply->type != type)
        fail("redis, unexpected reply", reply->str ? reply->str : "of another type");
    return reply;
}

static void set_and_get(redisContext *server, int number)
{
    for (int round = 0; round < ROUNDS; round++) {
        freeReplyObject(expect(server, redisCommand(server, "SET key:%d %d", number, number + round), REDIS_REPLY_STATUS));
        redisReply *reply = expect(server, redisCommand(server, "GET key:%d", number), REDIS_REPLY_STRING);
        if (atoi(reply->str) != number + round)
            fail("GET", "another value than was set");
        freeReplyObject(reply);
        add(&got, 1);
    }
}

/* More than a socket's buffers hold, so that both ends wait for room. */
static void set_and_get_much(redisContext *server, int number)
{
    char *much = malloc(BIG);
    memset(much, 'a' + number % 26, BIG);
    freeReplyObject(expect(server, redisCommand(server, "SET much:%d %b", number, much, (size_t)BIG), REDIS_REPLY_STATUS));
    redisReply *reply = expect(server, redisCommand(server, "GET much:%d", number), REDIS_REPLY_STRING);
    if (reply->len != BIG || memcmp(reply->str, much, BIG))
        fail("GET", "another value than was set");
    freeReplyObject(reply);
    free(much);
}

static void pop(redisContext *server, int number)
{
    redisReply *reply = expect(server, redisCommand(server, "BLPOP list:%d 60", number), REDIS_REPLY_ARRAY);
    if (atoi(reply->element[1]->str) != number + 1)
        fail("BLPOP", "somebody else's item");
    freeReplyObject(reply);
    add(&popped, 1);
}

static void time_out_then_push(redisContext *server, int number)
{
    freeReplyObject(expect(server, redisCommand(server, "BLPOP nothing:%d 0.2", number), REDIS_REPLY_NIL));
    add(&timed_out, 1);
    freeReplyObject(expect(server, redisCommand(server, "RPUSH list:%d %d", number - 1, number), REDIS_REPLY_INTEGER));
}

static void be_cut_off(redisContext *server, int number)
{
    redisSetTimeout(server, (struct timeval){ .tv_usec = 100000 });
    errno = 0;
    redisReply *reply = redisCommand(server, "BLPOP never:%d 0", number);
    if (reply || server->err != REDIS_ERR_IO || errno != EAGAIN)
        fail("BLPOP past the receive timeout", reply ? "answered" : server->errstr);
    add(&cut_off, 1);
}

static void *client(void *argument)
{
    int number = *(int *)argument;
    redisContext *server = redisConnectWithTimeout("127.0.0.1", port, (struct timeval){ .tv_sec = 30 });
    if (!server || server->err)
        fail("connect", server ? server->errstr : "no memory");
    redisSetTimeout(server, (struct timeval){ 0 });
    pthread_barrier_wait(&everybody);
    set_and_get(server, number);
    if (number % 2)
        time_out_then_push(server, number);
    else
        pop(server, number);
    if (number % 10 == 0)
        set_and_get_much(server, number);
    if (number % 10 == 5)
        be_cut_off(server, number);
    redisFree(server);
    return NULL;
}

int main(int count, char **arguments)
{
    static pthread_t threads[THREADS];
    static int numbers[THREADS];
    if (count != 2)
        fail("usage", "hiredis_threads PORT");
    port = atoi(arguments[1]);
    pthread_barrier_init(&everybody, NULL, THREADS);
    for (int number = 0; number < THREADS; number++) {
        numbers[number] = number;
        if (pthread_create(&threads[number], NULL, client, &numbers[number]))
            fail("thread", "not created");
    }
    for (int number = 0; number < THREADS; number++)
        pthread_join(threads[number], NULL);
    printf("%d threads: %d got, %d popped, %d timed out, %d cut off\n", THREADS, got, popped, timed_out, cut_off);
    return 0;
}
