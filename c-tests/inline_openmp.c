/* An OpenMP program: its runtime waits by system call instructions of its own, and those waits park.
 * covers: pthread_create
 * cflags: -fopenmp
 * options: inline=1
 * proof: inline==1 inline_calls>=20 green_threads>=7 parks>=10
 * needs: openmp
 */
#include "ctest.h"
#include <omp.h>

enum { THREADS = 8, NUMBERS = 1000, ROUNDS = 20 };

static long numbers[NUMBERS];

static long sum_of_squares(void)
{
    long sum = 0;
#pragma omp parallel for reduction(+ : sum) schedule(dynamic, 10)
    for (int i = 0; i < NUMBERS; i++)
        sum += numbers[i] * numbers[i];
    return sum;
}

/* Each waits for the others, twice a round, with one that is late. */
static long barriers(void)
{
    long seen = 0, turn = 0;
#pragma omp parallel reduction(+ : seen)
    for (int round = 0; round < ROUNDS; round++) {
#pragma omp single
        {
            nap(1);
            turn = round;
        }
        seen += turn == round;
#pragma omp barrier
    }
    return seen;
}

static long under_a_lock(void)
{
    long count = 0;
#pragma omp parallel
    for (int i = 0; i < 50; i++) {
#pragma omp critical
        count++;
    }
    return count;
}

int main(void)
{
    omp_set_num_threads(THREADS);
    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = i;
    for (int round = 0; round < ROUNDS; round++)
        CHECK_IS(sum_of_squares(), (NUMBERS - 1L) * NUMBERS * (2 * NUMBERS - 1) / 6);
    say("%d sums, each right", ROUNDS);
    CHECK_IS(barriers(), THREADS * ROUNDS);
    say("%d barriers, nobody early", ROUNDS);
    CHECK_IS(under_a_lock(), THREADS * 50);
    say("counted under a lock: %d", THREADS * 50);
    return 0;
}
