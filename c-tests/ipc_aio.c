/* aio: a thread waits for one of several transfers, or for all of a list, which another thread's write completes; and too late.
 * covers: aio_suspend aio_suspend64 lio_listio lio_listio64
 * proof: green_threads>=3 parks>=2 hooks.aio_suspend>=2 hooks.aio_suspend64>=1 hooks.lio_listio>=1 hooks.lio_listio64>=1
 *   kernel_threads_peak<=12
 * processors: 4
 */
#include "ctest.h"
#include <aio.h>

static int ends[2];
static char text[2];
static struct aiocb one;
static struct aiocb64 other;

static void *writes(void *unused)
{
    nap(2);
    CHECK_IS(write(ends[1], "x", 1), 1);
    return unused;
}

static void suspended(void)
{
    const struct aiocb *list[] = {NULL, &one};
    struct timespec soon = {0, 1000000};
    one = (struct aiocb){.aio_fildes = ends[0], .aio_buf = text, .aio_nbytes = 1, .aio_sigevent.sigev_notify = SIGEV_NONE};
    CHECK_IS(aio_read(&one), 0);
    CHECK_FAILS(aio_suspend(list, 2, &soon), EAGAIN);
    pthread_t writer = spawn(writes, NULL);
    CHECK_IS(aio_suspend(list, 2, NULL), 0);
    join(writer);
    CHECK_IS(aio_error(&one), 0);
    CHECK_IS(aio_return(&one), 1);
    CHECK_IS(aio_suspend64((const struct aiocb64 *const *)list, 2, NULL), 0);
    say("aio_suspend: too late, and in time");
}

static void listed(void)
{
    struct aiocb *list[] = {&one, NULL};
    struct aiocb64 *list64[] = {&other};
    one.aio_lio_opcode = LIO_READ;
    pthread_t writer = spawn(writes, NULL);
    CHECK_IS(lio_listio(LIO_WAIT, list, 2, NULL), 0);
    join(writer);
    CHECK_IS(aio_return(&one), 1);
    other = (struct aiocb64){.aio_fildes = ends[1], .aio_buf = text, .aio_nbytes = 1, .aio_lio_opcode = LIO_WRITE};
    other.aio_sigevent.sigev_notify = SIGEV_NONE;
    CHECK_IS(lio_listio64(LIO_WAIT, list64, 1, NULL), 0);
    CHECK_IS(aio_return64(&other), 1);
    say("lio_listio: all of them");
}

int main(void)
{
    CHECK_IS(pipe(ends), 0);
    in_thread(suspended);
    in_thread(listed);
    return 0;
}
