/* mq_notify tells of a message that nobody waits for: who is blocked in mq_receive, since before or after the registration, gets his
 * message, and the registration stays.
 * covers: mq_notify mq_receive mq_timedreceive mq_send
 * cflags: -lrt
 * proof: green_threads>=2 parks>=5 hooks.mq_receive>=1 hooks.mq_timedreceive>=1 kernel_threads_peak<=12
 * processors: 4
 * passes: mq_notify: whoever waits is moved to where the kernel sees it, and the kernel notifies
 * came: mq_notify>=4: they pass, as said
 */
#include "signals.h"
#include <mqueue.h>

static mqd_t queue, other;

static void registers(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    CHECK_IS(mq_notify(other, &event), 0);
}

static void *receiver(void *timed)
{
    char text[8] = "";
    struct timespec late = {.tv_sec = time(NULL) + 100};
    CHECK_IS(timed ? mq_timedreceive(queue, text, sizeof text, NULL, &late) : mq_receive(queue, text, sizeof text, NULL), 2);
    return NULL;
}

static bool is_registered(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    if (mq_notify(queue, &event) < 0) {
        CHECK(errno == EBUSY);
        return true;
    }
    CHECK_IS(mq_notify(queue, NULL), 0);
    return false;
}

/* Nobody can see whether the receiver is blocked yet: if not, the notification is the answer, and a longer time is given. */
static void round_of(void *timed, bool before)
{
    bool kept = false;
    for (int ms = 5; !kept; ms *= 2) {
        if (before)
            registers();
        pthread_t thread = spawn(receiver, timed);
        nap(ms);
        if (!before)
            registers();
        CHECK_IS(mq_send(other, "m", 2, 0), 0);
        join(thread);
        kept = is_registered();
    }
    int caught = atomic_load(&signals_caught);
    CHECK_IS(mq_send(other, "n", 2, 0), 0);
    while (atomic_load(&signals_caught) == caught)
        nap(1);
    CHECK(!is_registered());
    receiver(timed);
    say("%s, registered %s: the blocked one got it", timed ? "timed" : "plain", before ? "before" : "meanwhile");
}

static void all(void)
{
    char name[64];
    make_name(name);
    struct mq_attr sizes = {.mq_maxmsg = 4, .mq_msgsize = 8};
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &sizes);
    other = mq_open(name, O_RDWR);
    CHECK(queue >= 0 && other >= 0);
    CHECK_IS(mq_unlink(name), 0);
    catch_signal(SIGUSR1, SA_RESTART);
    for (int i = 0; i < 4; i++)
        round_of(i & 1 ? name : NULL, i & 2);
    mq_close(queue);
    mq_close(other);
}

int main(void)
{
    in_thread(all);
    return 0;
}
