/* Threads that spin on a flag without any call end when another thread sets it, also when all workers spin; main spins, too.
 * covers: pthread_create pthread_join
 * proof: green_threads>=10 parks>=1 kernel_threads_peak<=18
 * processors: 4
 */
#include "ctest.h"

enum { SPINNERS = 8 };

static atomic_int spinning, flag, answered;

static void *spins(void *argument)
{
    spinning++;
    while (!flag)
        ;
    answered++;
    return argument;
}

static void *sets(void *argument)
{
    while (spinning < SPINNERS)
        ;
    flag = 1;
    return argument;
}

static void *answers_main(void *argument)
{
    flag = 2;
    return argument;
}

int main(void)
{
    pthread_t threads[SPINNERS];
    for (int i = 0; i < SPINNERS; i++)
        threads[i] = spawn(spins, NULL);
    join(spawn(sets, NULL));
    for (int i = 0; i < SPINNERS; i++)
        join(threads[i]);
    say("%d spinners saw the flag", answered);

    pthread_t setter = spawn(answers_main, NULL);
    while (flag != 2)
        ;
    join(setter);
    say("main, spinning, saw it too");
    return 0;
}
