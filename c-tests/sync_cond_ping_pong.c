/* Two threads hand a turn to each other 2000 times: half through a condition variable each, half through one for both.
 * covers: pthread_cond_wait pthread_cond_signal pthread_cond_broadcast pthread_mutex_lock pthread_mutex_unlock
 * proof: green_threads>=2 parks>=100
 */
#include "ctest.h"

enum { ROUNDS = 500 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t conditions[2] = {PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};
static int turn, exchanged;
static bool one_for_both;

static void *player(void *own_number)
{
    intptr_t own = (intptr_t)own_number;
    pthread_cond_t *mine = &conditions[one_for_both ? 0 : own], *theirs = &conditions[one_for_both ? 0 : !own];
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(pthread_mutex_lock(&mutex), 0);
        while (turn != own)
            CHECK_IS(pthread_cond_wait(mine, &mutex), 0);
        turn = !own;
        exchanged++;
        CHECK_IS(one_for_both ? pthread_cond_broadcast(theirs) : pthread_cond_signal(theirs), 0);
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    }
    return NULL;
}

int main(void)
{
    for (int i = 0; i < 2; i++) {
        one_for_both = i;
        turn = exchanged = 0;
        pthread_t other = spawn(player, (void *)1);
        player((void *)0);
        join(other);
        say("%s: %d turns", one_for_both ? "one condition variable" : "two condition variables", exchanged);
    }
    return 0;
}
