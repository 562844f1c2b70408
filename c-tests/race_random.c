/* Threads born, joined, cancelled, signalled and forking at random, from a seed: every invariant holds, and afterwards all is as before.
 *
 *     race_random [SECONDS] [SEED] [OPERATION,…] [PATIENCE]
 *
 * A few *actors* do operations for SECONDS, each drawn from the table `operations` by a generator of its own; the third argument
 * names those that are drawn (default: all). An operation makes what it needs, checks what came of it, and leaves nothing behind: so any
 * mix may be tried. Meanwhile signals come from everywhere: whatever waits is interrupted or restarted.
 *
 * A first short round makes what is made once. The second one must come back to what was there after it, in kernel threads, descriptors,
 * mappings and resident memory, within `slack`. A child watches: when no operation ends for PATIENCE seconds, it ends the program
 * by SIGABRT. scripts/chaos runs this for long.
 *
 * Natively one run in thirty fails, by races of glibc's (2.36): a forked child in which a key is already set, which gets its parent's
 * SIGCANCEL; a pipe whose ends stay.
 *
 * covers: pthread_create pthread_join pthread_timedjoin_np pthread_tryjoin_np pthread_detach pthread_exit pthread_cancel pthread_kill
 *   pthread_sigqueue tgkill kill sigqueue raise pthread_sigmask sigsuspend sigwaitinfo fork vfork waitpid posix_spawn timer_create
 * proof: green_threads>=100 parks>=100 hooks.pthread_create>=100
 * passes: sigqueue: a signal to another process, or one that no handler waits for, is the kernel's to send
 * stderr: the seed, and what the process had
 * processors: 4
 * stress: no
 * native: again
 */
#include "chaos.h"
#include "chaos_threads.h"
#include "inline.h"

/* ---- Signals that are counted: none is lost, and they come in order. ---- */

struct receiver {
    struct dice dice;
    sem_t begun;
    int count;
};

static void *receives(void *argument) /* SIG_COUNT is blocked but while it waits */
{
    struct receiver *receiver = argument;
    begin();
    sigset_t one = only(SIG_COUNT), open;
    pthread_sigmask(SIG_BLOCK, NULL, &open);
    sigdelset(&open, SIG_COUNT);
    sem_post(&receiver->begun);
    while (mine.counted < receiver->count) {
        switch (below(&receiver->dice, 4)) {
        case 0:
            sigsuspend(&open);
            break;
        case 1:
            ppoll(NULL, 0, NULL, &open);
            break;
        case 2:
            pselect(0, NULL, NULL, NULL, NULL, &open);
            break;
        case 3:
            pthread_sigmask(SIG_SETMASK, &open, NULL);
            dawdle(&receiver->dice);
            pthread_sigmask(SIG_BLOCK, &one, NULL);
        }
    }
    CHECK_IS(mine.counted, receiver->count);
    return NULL;
}

static void *receives_waiting(void *argument)
{
    struct receiver *receiver = argument;
    begin();
    sigset_t one = only(SIG_COUNT);
    siginfo_t info;
    sem_post(&receiver->begun);
    for (int came = 0; came < receiver->count;) {
        struct timespec soon = {0, below(&receiver->dice, 1000000)};
        if ((below(&receiver->dice, 2) ? sigwaitinfo(&one, &info) : sigtimedwait(&one, &info, &soon)) == SIG_COUNT)
            CHECK_IS(info.si_value.sival_int, ++came);
        else
            CHECK(errno == EINTR || errno == EAGAIN);
    }
    return NULL;
}

static void count_signals(struct dice *dice)
{
    struct receiver receiver = {{throw(dice)}, .count = 1 + below(dice, 20)};
    sem_init(&receiver.begun, 0, 0);
    sigset_t one = only(SIG_COUNT), before;
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &one, &before), 0);
    struct helper helper = start(dice, below(dice, 2) ? receives : receives_waiting, &receiver);
    CHECK_IS(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    for (int i = 1; i <= receiver.count; i++) {
        while ((errno = pthread_sigqueue(helper.thread, SIG_COUNT, (union sigval){.sival_int = i})) == EAGAIN)
            sleep_us(100);
        CHECK_IS(errno, 0);
        if (below(dice, 3) == 0)
            dawdle(dice);
    }
    CHECK(finish(dice, &helper) == NULL);
}

static void timer(struct dice *dice)
{
    timer_t timer;
    bool own = below(dice, 2);
    int turn = OF_THREAD + below(dice, 1000000), before = timers[mine.place];
    struct sigevent event = {.sigev_notify = own ? SIGEV_THREAD_ID : SIGEV_SIGNAL, .sigev_signo = SIG_TIMER};
    event.sigev_value.sival_int = own ? turn : mine.place;
    event._sigev_un._tid = gettid();
    CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    long period = 1 + below(dice, 2000000);
    struct itimerspec times = {.it_value.tv_nsec = period, .it_interval.tv_nsec = below(dice, 2) ? 100000 + period : 0};
    mine.timed = 0;
    CHECK_IS(timer_settime(timer, 0, &times, NULL), 0);
    while (own ? mine.timed != turn : timers[mine.place] == before)
        sleep_us(500);
    CHECK_IS(timer_delete(timer), 0);
}

/* ---- Locks that all actors share: what they protect adds up. ---- */

static struct {
    pthread_mutex_t mutex;
    long protected;
    atomic_long taken;
} safes[4] = {{.mutex = PTHREAD_MUTEX_INITIALIZER}, {.mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP},
    {.mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP}, {.mutex = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP}};
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static volatile long left, right;
static sem_t two;
static atomic_int inside;

static void use_safe(struct dice *dice)
{
    int which = below(dice, 4);
    struct timespec soon = from_now(CLOCK_REALTIME, below(dice, 1000));
    int error = below(dice, 2) ? pthread_mutex_lock(&safes[which].mutex) : pthread_mutex_timedlock(&safes[which].mutex, &soon);
    if (error == ETIMEDOUT)
        return;
    CHECK_IS(error, 0);
    long protected = safes[which].protected;
    if (below(dice, 8) == 0)
        dawdle(dice);
    safes[which].protected = protected + 1;
    CHECK_IS(pthread_mutex_unlock(&safes[which].mutex), 0);
    safes[which].taken++;
}

static void use_rwlock(struct dice *dice)
{
    if (below(dice, 3)) {
        CHECK_IS(pthread_rwlock_rdlock(&rwlock), 0);
        long seen = left;
        if (below(dice, 8) == 0)
            dawdle(dice);
        CHECK(left == seen && right == seen);
    } else {
        CHECK_IS(pthread_rwlock_wrlock(&rwlock), 0);
        left++;
        if (below(dice, 8) == 0)
            dawdle(dice);
        right++;
    }
    CHECK_IS(pthread_rwlock_unlock(&rwlock), 0);
}

static void use_semaphore(struct dice *dice)
{
    while (sem_wait(&two) < 0)
        CHECK(errno == EINTR);
    CHECK(++inside <= 2);
    if (below(dice, 8) == 0)
        dawdle(dice);
    inside--;
    CHECK_IS(sem_post(&two), 0);
}

static void locks(struct dice *dice)
{
    for (int i = below(dice, 100); i > 0; i--) {
        use_safe(dice);
        use_rwlock(dice);
        use_semaphore(dice);
    }
}

static void check_locks(void)
{
    for (int i = 0; i < 4; i++)
        CHECK_IS(safes[i].protected, safes[i].taken);
    CHECK_IS(left, right);
}

/* Two threads take turns; several meet. */
struct meeting {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    pthread_barrier_t barrier;
    int turn, turns;
    atomic_int serial;
};

static void *takes_turns(void *argument)
{
    struct meeting *meeting = argument;
    bool first = mine.self == 0;
    if (first)
        begin();
    CHECK_IS(pthread_mutex_lock(&meeting->mutex), 0);
    while (meeting->turn < meeting->turns) {
        struct timespec soon = from_now(CLOCK_REALTIME, 1000);
        if (meeting->turn % 2 == first) {
            meeting->turn++;
            CHECK_IS(pthread_cond_signal(&meeting->condition), 0);
        } else if (meeting->turn % 3)
            CHECK_IS(pthread_cond_wait(&meeting->condition, &meeting->mutex), 0);
        else
            pthread_cond_timedwait(&meeting->condition, &meeting->mutex, &soon);
    }
    CHECK_IS(pthread_mutex_unlock(&meeting->mutex), 0);
    return NULL;
}

static void *meets(void *argument)
{
    struct meeting *meeting = argument;
    if (mine.self == 0)
        begin();
    for (int i = 0; i < meeting->turns; i++)
        if (pthread_barrier_wait(&meeting->barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            meeting->serial++;
    return NULL;
}

static void meet(struct dice *dice)
{
    struct meeting meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, .turns = 1 + below(dice, 30)};
    struct helper helpers[3];
    int count = below(dice, 4);
    void *(*function)(void *) = count ? meets : takes_turns;
    count += !count;
    CHECK_IS(pthread_barrier_init(&meeting.barrier, NULL, count + 1), 0);
    for (int i = 0; i < count; i++)
        helpers[i] = start(dice, function, &meeting);
    function(&meeting);
    for (int i = 0; i < count; i++)
        CHECK(finish(dice, &helpers[i]) == NULL);
    CHECK_IS(pthread_barrier_destroy(&meeting.barrier), 0);
    if (function == meets)
        CHECK_IS(meeting.serial, meeting.turns);
}

/* ---- Traffic: what is written is what is read. ---- */

static void connect_tcp(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_IS(bind(listener, (struct sockaddr *)&address, length), 0);
    CHECK_IS(listen(listener, 1), 0);
    CHECK_IS(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    ends[1] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(ends[1], (struct sockaddr *)&address, length) < 0) { /* interrupted: it goes on by itself */
        CHECK(errno == EINTR);
        struct pollfd wanted = {.fd = ends[1], .events = POLLOUT};
        while (poll(&wanted, 1, -1) < 0)
            CHECK(errno == EINTR);
    }
    while ((ends[0] = accept(listener, NULL, NULL)) < 0)
        CHECK(errno == EINTR);
    close(listener);
    struct linger at_once = {1, 0}; /* no port stays in use */
    CHECK_IS(setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
}

static void connect_ends(struct dice *dice, int ends[2])
{
    switch (below(dice, 3)) {
    case 0:
        CHECK_IS(pipe(ends), 0);
        break;
    case 1:
        CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        break;
    case 2:
        connect_tcp(ends);
    }
}

struct stream {
    struct dice dice;
    int ends[2];
    size_t bytes;
    uint64_t sum;
};

static void *writes(void *argument)
{
    struct stream *stream = argument;
    unsigned char bytes[4096];
    begin();
    for (size_t left = stream->bytes; left > 0;) {
        size_t length = 1 + below(&stream->dice, left < sizeof bytes ? left : sizeof bytes);
        memset(bytes, below(&stream->dice, 256), length);
        ssize_t written = write(stream->ends[1], bytes, length);
        CHECK(written > 0 || errno == EINTR);
        left -= written > 0 ? written : 0;
        stream->sum += written > 0 ? (uint64_t)written * bytes[0] : 0;
        if (below(&stream->dice, 16) == 0)
            dawdle(&stream->dice);
    }
    CHECK_IS(close(stream->ends[1]), 0);
    return NULL;
}

enum { STREAMS = 4 };

/* Which stream can be read: by one of the ways to ask, and the epoll, where it is -1 they are asked for in order. */
static int readable(struct dice *dice, struct stream *streams, int count, int epoll)
{
    struct pollfd wanted[STREAMS];
    struct epoll_event event;
    fd_set set;
    FD_ZERO(&set);
    for (int i = 0; i < count; i++) {
        wanted[i] = (struct pollfd){.fd = streams[i].ends[0], .events = POLLIN};
        if (streams[i].ends[0] >= 0)
            FD_SET(streams[i].ends[0], &set);
    }
    for (;;) {
        switch (below(dice, 3)) {
        case 0:
            if (epoll_wait(epoll, &event, 1, below(dice, 2) ? -1 : 5) == 1)
                return event.data.fd;
            break;
        case 1:
            if (poll(wanted, count, below(dice, 2) ? -1 : 5) > 0)
                for (int i = 0; i < count; i++)
                    if (wanted[i].revents)
                        return i;
            break;
        case 2: {
            fd_set ready = set;
            if (select(FD_SETSIZE, &ready, NULL, NULL, &(struct timeval){0, 5000}) > 0)
                for (int i = 0; i < count; i++)
                    if (streams[i].ends[0] >= 0 && FD_ISSET(streams[i].ends[0], &ready))
                        return i;
        }
        }
    }
}

static void traffic(struct dice *dice)
{
    struct stream streams[STREAMS];
    struct helper helpers[STREAMS];
    unsigned char bytes[4096];
    uint64_t sums[STREAMS] = {0};
    int count = 1 + below(dice, STREAMS), open = count, epoll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        streams[i] = (struct stream){.dice = {throw(dice)}, .bytes = below(dice, below(dice, 8) ? 10000 : 200000)};
        connect_ends(dice, streams[i].ends);
        CHECK_IS(epoll_ctl(epoll, EPOLL_CTL_ADD, streams[i].ends[0], &(struct epoll_event){EPOLLIN, {.fd = i}}), 0);
        helpers[i] = start(dice, writes, &streams[i]);
    }
    while (open > 0) {
        int i = count == 1 ? 0 : readable(dice, streams, count, epoll);
        ssize_t length = read(streams[i].ends[0], bytes, sizeof bytes);
        CHECK(length >= 0 || errno == EINTR);
        for (ssize_t byte = 0; byte < length; byte++)
            sums[i] += bytes[byte];
        if (length == 0) {
            CHECK_IS(epoll_ctl(epoll, EPOLL_CTL_DEL, streams[i].ends[0], NULL), 0); /* a fork may have kept the file */
            CHECK_IS(close(streams[i].ends[0]), 0);
            streams[i].ends[0] = -1;
            open--;
        }
    }
    CHECK_IS(close(epoll), 0);
    for (int i = 0; i < count; i++) {
        CHECK(finish(dice, &helpers[i]) == NULL);
        CHECK_IS(sums[i], streams[i].sum);
    }
}

/* ---- Processes: each child ends with the status that it was told. ---- */

static void await_child(struct dice *dice, pid_t child, int wanted)
{
    int status = 0;
    siginfo_t info;
    pid_t ended;
    CHECK(child > 0);
    if (below(dice, 3) == 0)
        while (waitid(P_PID, child, &info, WEXITED | WNOWAIT) < 0)
            CHECK(errno == EINTR);
    while ((ended = waitpid(child, &status, below(dice, 2) ? WNOHANG : 0)) != child) {
        CHECK(ended == 0 || errno == EINTR);
        sleep_us(100);
    }
    CHECK(WIFEXITED(status));
    CHECK_IS(WEXITSTATUS(status), wanted);
}

static void run_true(struct dice *dice)
{
    char *arguments[] = {"true", NULL};
    pid_t child;
    int status = below(dice, 100);
    if (below(dice, 4)) {
        child = vfork();
        if (child == 0)
            _exit(status);
    } else {
        status = 0;
        CHECK_IS(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ), 0);
    }
    await_child(dice, child, status);
}

static void make_child(struct dice *dice);

/* What is drawn. Those of a child take no lock that an actor may have held at the fork. */
static const struct operation {
    const char *name;
    void (*function)(struct dice *dice);
    bool in_child;
} operations[] = {
    {"signals", signals, false},
    {"mask", mask, true},
    {"create", create, true},
    {"detach", detach, false},
    {"exit", exit_deep, true},
    {"cancel", cancel, true},
    {"count", count_signals, true},
    {"timer", timer, true},
    {"locks", locks, false},
    {"meet", meet, true},
    {"traffic", traffic, true},
    {"spawn", run_true, true},
    {"fork", make_child, true},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static bool chosen[OPERATIONS];
/* How many forks made this process. */
static int generation;

static void operate(struct dice *dice)
{
    unsigned which;
    do
        which = below(dice, OPERATIONS);
    while (!chosen[which] || (generation > 0 && !operations[which].in_child));
    operations[which].function(dice);
}

static void make_child(struct dice *dice)
{
    int status = below(dice, 100), end = below(dice, 3), rounds = below(dice, 4);
    if (generation > 1)
        return;
    pid_t child = fork();
    if (child != 0)
        return await_child(dice, child, end == 2 ? 0 : status);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    generation++;
    while (rounds-- > 0)
        operate(dice);
    if (end == 0)
        exit(status);
    if (end == 1)
        _exit(status);
    pthread_exit(NULL); /* the last thread of its process */
}

/* ---- The rounds, and what is left after them. ---- */

/* Shared with the child that watches. */
static atomic_long *progress;
static long long end_ms;
static uint64_t seed;

static void *acts(void *argument)
{
    static atomic_int next_id = 1;
    int place = (intptr_t)argument, id = next_id++;
    struct dice dice = {seed + id};
    stack_t alternate = {.ss_sp = malloc(ALTERNATE_STACK), .ss_size = ALTERNATE_STACK}, off = {.ss_flags = SS_DISABLE};
    begin();
    CHECK_IS(sigaltstack(&alternate, NULL), 0);
    enter_roll(place, id);
    while (now_ms() < end_ms) {
        operate(&dice);
        ++*progress;
    }
    leave_roll();
    CHECK_IS(sigaltstack(&off, NULL), 0);
    free(alternate.ss_sp);
    return NULL;
}

static void *takes_waited(void *stop)
{
    sigset_t one = only(SIG_WAITED);
    struct timespec soon = {0, 10000000};
    begin();
    while (!*(atomic_bool *)stop || waited_come < waited_sent)
        if (sigtimedwait(&one, NULL, &soon) == SIG_WAITED)
            waited_come++;
    return NULL;
}

static void act(double seconds)
{
    pthread_t actors[ACTORS], waiter;
    atomic_bool stop = false;
    end_ms = now_ms() + seconds * 1000;
    waiter = spawn(takes_waited, &stop);
    for (intptr_t i = 0; i < ACTORS; i++)
        actors[i] = spawn(acts, (void *)i);
    for (int i = 0; i < ACTORS; i++)
        join(actors[i]);
    stop = true;
    join(waiter);
    while (detached_ended < detached_begun || keys_destroyed < keys_set)
        nap(1);
    CHECK_IS(keys_destroyed, keys_set);
    CHECK_IS(waited_come, waited_sent);
    check_locks();
}

/* What a process has. */
enum { KERNEL_THREADS, DESCRIPTORS, MAPPINGS, RESIDENT_KB, KINDS };
static const char *const kinds[KINDS] = {"kernel threads", "descriptors", "mappings", "KB resident"};
/* How much more of it there may be than after the first round. */
static const long slack[KINDS] = {2, 0, 60, 6 << 10};

static long lines(const char *command)
{
    char line[4096];
    long count = 0;
    FILE *file = fopen(command, "r");
    CHECK(file);
    while (fgets(line, sizeof line, file))
        count++;
    fclose(file);
    return count;
}

static long entries(const char *path)
{
    long count = 0;
    DIR *folder = opendir(path);
    CHECK(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void measure(long have[KINDS])
{
    long pages;
    malloc_trim(0);
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    have[RESIDENT_KB] = pages * (sysconf(_SC_PAGESIZE) >> 10);
    have[KERNEL_THREADS] = kernel_threads();
    have[DESCRIPTORS] = entries("/proc/self/fd");
    have[MAPPINGS] = lines("/proc/self/maps");
}

static void tell(const char *when, const long have[KINDS])
{
    fprintf(stderr, "%s:", when);
    for (int i = 0; i < KINDS; i++)
        fprintf(stderr, " %ld %s%s", have[i], kinds[i], i + 1 < KINDS ? "," : "\n");
}

static bool is_back(const long have[KINDS], const long before[KINDS])
{
    for (int i = 0; i < KINDS; i++)
        if (have[i] > before[i] + slack[i])
            return false;
    return true;
}

/* Pools need a while to shrink. */
static void come_back(const long before[KINDS])
{
    long have[KINDS];
    for (int look = 0; measure(have), !is_back(have, before); look++) {
        if (look == 100) {
            tell("after", have);
            CHECK(!"all is as before");
        }
        nap(100);
    }
    tell("after", have);
}

/* The child that watches. */
static void watch(pid_t program, int patience)
{
    long seen = -1;
    for (int idle = 0; getppid() == program; idle++) {
        if (*progress != seen)
            idle = 0;
        seen = *progress;
        if (idle == patience) {
            fprintf(stderr, "no operation has ended for %d seconds, with the seed %" PRIu64 "\n", patience, seed);
            kill(program, SIGABRT);
        }
        sleep(1);
    }
    _exit(0);
}

static void choose(const char *names)
{
    for (int i = 0; i < OPERATIONS; i++) {
        const char *at = names ? strstr(names, operations[i].name) : NULL;
        chosen[i] = !names || at;
    }
}

static void *exits(void *unused)
{
    pthread_exit(unused);
}

int main(int count, char **arguments)
{
    double seconds = count > 1 ? atof(arguments[1]) : 3;
    if (count > 2 && *arguments[2])
        seed = strtoull(arguments[2], NULL, 0);
    else
        CHECK_IS(getrandom(&seed, 4, 0), 4);
    choose(count > 3 && *arguments[3] ? arguments[3] : NULL);
    fprintf(stderr, "seed %" PRIu64 "\n", seed);
    alarm(0); /* the watching child is the limit here */
    mallopt(M_ARENA_MAX, 2);
    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(progress != MAP_FAILED);
    pid_t program = getpid(), watcher = fork();
    if (watcher == 0)
        watch(program, count > 4 ? atoi(arguments[4]) : 60);
    signal(SIGPIPE, SIG_IGN);
    sigset_t waited = only(SIG_WAITED);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &waited, NULL), 0);
    CHECK_IS(pthread_key_create(&key, destroy_key), 0);
    sem_init(&two, 0, 2);
    set_handlers();
    join(spawn(exits, NULL)); /* glibc loads its unwinder now: a thread that is cancelled while it does leaves the loader locked */

    long before[KINDS];
    act(seconds < 6 ? seconds / 3 : 5);
    nap(500);
    measure(before);
    tell("before", before);
    act(seconds < 6 ? seconds * 2 / 3 : seconds - 5);
    come_back(before);
    fprintf(stderr, "%ld operations\n", *progress);
    kill(watcher, SIGKILL);
    CHECK_IS(waitpid(watcher, NULL, 0), watcher);
    say("all ended, and all is as before");
    return 0;
}
