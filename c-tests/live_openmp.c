/* OpenMP's teams, whose barriers wait by instructions of libgomp's own: while they are stuck there, others run.
 * covers: pthread_create pthread_mutex_lock
 * proof: green_threads>=9 parks>=10 hand_overs>=1 kernel_threads_peak<=18
 * needs: openmp
 * processors: 4
 * cflags: -fopenmp
 */
#include "ticker.h"

enum { TEAMS = 2 };

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void shut(void)
{
    pthread_mutex_lock(&gate);
}

/* Of a team of four one waits for the gate, the others for the one, at the end of the parallel section. */
static void compute(void)
{
    int sum = 0;
#pragma omp parallel num_threads(4) reduction(+ : sum)
    {
#pragma omp for
        for (int i = 0; i < 1000; i++)
            sum += i;
#pragma omp single nowait
        {
            pthread_mutex_lock(&gate);
            pthread_mutex_unlock(&gate);
        }
    }
    CHECK_IS(sum, 499500);
}

static void open_gate(void)
{
    pthread_mutex_unlock(&gate);
}

int main(void)
{
    tick_while(TEAMS, &(struct way){"a parallel section, teams of four", shut, compute, open_gate});
    return 0;
}
