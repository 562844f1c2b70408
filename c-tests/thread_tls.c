/* Each new thread finds `__thread` data as the program initialised it, also when a thousand threads before it changed theirs.
 * covers: pthread_create pthread_join
 * proof: green_threads>=1008 parks>=490
 */
#include "ctest.h"

static __thread int number = 42;
static __thread char text[32] = "initial";
static __thread int zero[64];
static __thread _Alignas(64) struct { double value; char tail; } aligned = {2.5, 'x'};

static void check_initial(void)
{
    CHECK_IS(number, 42);
    CHECK(strcmp(text, "initial") == 0);
    for (int i = 0; i < 64; i++)
        CHECK_IS(zero[i], 0);
    CHECK(aligned.value == 2.5 && aligned.tail == 'x');
    CHECK_IS((uintptr_t)&aligned % 64, 0);
}

static void change(int value)
{
    number = value;
    snprintf(text, sizeof text, "thread %d", value);
    memset(zero, value | 1, sizeof zero);
    aligned.value = value;
    aligned.tail = 'y';
}

static void *one_of_many(void *value)
{
    check_initial();
    change((intptr_t)value);
    return NULL;
}

static void *keeps_its_own(void *argument)
{
    int value = (intptr_t)argument;
    check_initial();
    change(value);
    for (int i = 0; i < 50; i++) {
        sched_yield();
        CHECK_IS(number, value);
        CHECK_IS(aligned.value, value);
        number = value; /* written back, so that a copy shared with another thread would show there */
    }
    return NULL;
}

int main(void)
{
    change(-1);
    for (intptr_t i = 0; i < 1000; i++) {
        join(spawn(one_of_many, (void *)i));
        if (i % 2)
            usleep(1); /* parks, where the join may find the thread ended */
    }
    say("1000 threads one after another found the initial values");

    pthread_t threads[8];
    for (intptr_t i = 0; i < 8; i++)
        threads[i] = spawn(keeps_its_own, (void *)(i + 100));
    for (int i = 0; i < 8; i++)
        join(threads[i]);
    say("8 threads at once each kept their own");
    CHECK_IS(number, -1);
    say("main kept its own");
    return 0;
}
