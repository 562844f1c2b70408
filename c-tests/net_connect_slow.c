/* connect to a peer that does not answer, for its backlog is full: several threads wait, and get through when it accepts; a send timeout,
 * a handler without SA_RESTART and main's alarm with a jump out of its handler end it; a dead port refuses each of many at once.
 * covers: connect accept setsockopt alarm siglongjmp pthread_kill setitimer
 * proof: green_threads>=20 parks>=4 hooks.connect>=20
 * passes: siglongjmp: the library leaves its handlers and brings the mask back, and the jump itself is libc's
 * came: siglongjmp>=1: they pass, as said
 * stress: no
 */
#include "sockets.h"
#include "signals.h"
#include <setjmp.h>
#include <sys/time.h>

enum { WAITING = 4, REFUSED = 20, FILLERS = 8 };

static struct sockaddr_in address;
static sigjmp_buf back;
static atomic_bool done;

static int start_connect(int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    CHECK(fd >= 0);
    return fd;
}

static int call_connect(int fd)
{
    return connect(fd, (struct sockaddr *)&address, sizeof address);
}

/* Connections until nobody answers any more. */
static void fill_backlog(int fillers[FILLERS])
{
    for (int i = 0; i < FILLERS; i++) {
        fillers[i] = start_connect(SOCK_NONBLOCK);
        CHECK_FAILS(call_connect(fillers[i]), EINPROGRESS);
    }
    nap(10);
}

static void *connects(void *unused)
{
    int fd = start_connect(0);
    CHECK_IS(call_connect(fd), 0);
    close(fd);
    return unused;
}

static void *is_interrupted(void *unused)
{
    int fd = start_connect(0);
    CHECK_FAILS(call_connect(fd), EINTR);
    atomic_store(&done, true);
    close(fd);
    return unused;
}

static void *times_out(void *unused)
{
    int fd = start_connect(0);
    timeout_ms(fd, SO_SNDTIMEO, 20);
    CHECK_FAILS(call_connect(fd), EINPROGRESS);
    CHECK_FAILS(call_connect(fd), EALREADY);
    close(fd);
    return unused;
}

static void *is_refused(void *unused)
{
    for (int i = 0; i < 5; i++) {
        int fd = start_connect(0);
        CHECK_FAILS(call_connect(fd), ECONNREFUSED);
        close(fd);
    }
    return unused;
}

static void jump(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

/* As old drivers do. */
static void alarmed_in_main(void)
{
    struct sigaction action = {.sa_handler = jump}, before;
    struct itimerval rest = {{0, 0}, {0, 0}}, limit = {{0, 0}, {0, 30000}};
    unsigned left = alarm(0);
    volatile int fd = start_connect(0);
    CHECK_IS(sigaction(SIGALRM, &action, &before), 0);
    if (!sigsetjmp(back, 1)) {
        CHECK_IS(setitimer(ITIMER_REAL, &limit, NULL), 0);
        call_connect(fd);
        CHECK(!"the alarm ends this");
    }
    CHECK_IS(setitimer(ITIMER_REAL, &rest, NULL), 0);
    CHECK_IS(sigaction(SIGALRM, &before, NULL), 0);
    alarm(left);
    CHECK_IS(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    close(fd);
    say("main: out of connect by a jump");
}

/* Until the listener is shut down. */
static void *accepts(void *listener)
{
    while (accept(*(int *)listener, NULL, NULL) >= 0)
        ;
    CHECK(errno == EINVAL);
    return NULL;
}

int main(void)
{
    int fillers[FILLERS], listener = tcp_listen(&address, 1);
    fill_backlog(fillers);
    pthread_t slow = spawn(times_out, NULL);
    join(slow);
    say("a send timeout: EINPROGRESS");
    catch_signal(SIGUSR1, 0);
    pthread_t interrupted = spawn(is_interrupted, NULL);
    signal_until(interrupted, SIGUSR1, &done);
    join(interrupted);
    say("a handler: EINTR");
    alarmed_in_main();
    pthread_t waiting[WAITING];
    for (int i = 0; i < WAITING; i++)
        waiting[i] = spawn(connects, NULL);
    nap(5);
    pthread_t acceptor = spawn(accepts, &listener);
    for (int i = 0; i < WAITING; i++)
        join(waiting[i]);
    say("all got through");
    CHECK_IS(shutdown(listener, SHUT_RD), 0);
    join(acceptor);
    for (int i = 0; i < FILLERS; i++)
        close(fillers[i]);
    close(listener);
    pthread_t refused[REFUSED];
    for (int i = 0; i < REFUSED; i++)
        refused[i] = spawn(is_refused, NULL);
    for (int i = 0; i < REFUSED; i++)
        join(refused[i]);
    say("a dead port: refused");
    return 0;
}
