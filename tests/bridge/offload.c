/* offload FOLDER [sliced]: calls that block in the kernel, which another thread makes while their context is left. Each waits for what
 * another context of the same thread does: a thread that blocked would wait for itself. FOLDER is for files.
 */
#define _GNU_SOURCE
#include "loop.h"
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static long turns;
static char path[4096], fifo[4096];
static int inside, told[2];

/* Contexts with an open file each, which take turns at one lock. */
static void takes_turns(long i)
{
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    if (i % 2) {
        CHECK(flock(fd, LOCK_EX) == 0 && inside++ == 0);
        usleep(1000);
        CHECK(inside-- == 1 && flock(fd, LOCK_UN) == 0);
    } else {
        struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET}, none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
        static int locked;
        CHECK(fcntl(fd, F_OFD_SETLKW, &all) == 0 && locked++ == 0);
        usleep(1000);
        CHECK(locked-- == 1 && fcntl(fd, F_OFD_SETLK, &none) == 0);
    }
    close(fd);
    turns++;
}

/* A child holds a lock of a process until a context tells it to end. */
static void tells(long unused)
{
    (void)unused;
    CHECK(write(told[1], "x", 1) == 1);
}

static pid_t child(bool locks)
{
    int ready[2];
    char byte;
    CHECK(pipe(ready) == 0 && pipe(told) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDWR);
        CHECK(!locks || fcntl(fd, F_SETLK, &all) == 0);
        CHECK(write(ready[1], "x", 1) == 1 && read(told[0], &byte, 1) == 1);
        _exit(7);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    return pid;
}

static pid_t born;

static void locks_after_child(long unused)
{
    (void)unused;
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR), status;
    CHECK(fcntl(fd, F_SETLKW, &all) == 0);
    close(fd);
    CHECK(waitpid(born, &status, 0) == born && WEXITSTATUS(status) == 7);
    turns++;
}

static void waits_for_child(long way)
{
    int status = 7 << 8;
    siginfo_t info;
    struct rusage usage = {.ru_minflt = -1};
    switch (way) {
    case 0:
        CHECK(waitpid(born, &status, 0) == born);
        break;
    case 1:
        CHECK(wait(&status) == born);
        break;
    case 2:
        CHECK(waitpid(0, &status, WUNTRACED) == born);
        break;
    case 3:
        CHECK(wait4(-1, &status, 0, &usage) == born && usage.ru_minflt >= 0);
        break;
    default:
        CHECK(waitid(P_ALL, 0, &info, WEXITED) == 0 && info.si_pid == born && info.si_status == 7);
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    turns++;
}

static void opens(long is_writer)
{
    char copy[4096];
    strcpy(copy, fifo);
    int fd = open(copy, is_writer ? O_WRONLY : O_RDONLY);
    CHECK(fd >= 0);
    close(fd);
    turns++;
}

static void flushes(long i)
{
    int fd = open(path, O_RDWR);
    CHECK(write(fd, "x", 1) == 1 && (i % 2 ? fsync(fd) : fdatasync(fd)) == 0);
    CHECK(fsync(-1) == -1 && errno == EBADF);
    close(fd);
    turns++;
}

static void resolves(long i)
{
    char node[] = "127.0.0.1", service[] = "80";
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found = NULL;
    CHECK(getaddrinfo(i % 2 ? node : NULL, service, &hints, &found) == 0);
    struct sockaddr_in *address = (void *)found->ai_addr;
    CHECK(address->sin_port == htons(80) && address->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    freeaddrinfo(found);
    CHECK(getaddrinfo("no number", NULL, &hints, &found) == EAI_NONAME);
    turns++;
}

/* Blocks its kernel thread until a context tells it to go on. */
static pthread_t loops;

static void reads(void *count)
{
    char byte;
    CHECK(!pthread_equal(pthread_self(), loops) && read(told[0], &byte, 1) == 1);
    ++*(int *)count;
}

static void offloads(long unused)
{
    (void)unused;
    static int count;
    CHECK(gp_offload(reads, &count) == 1 && count == 1);
    turns++;
}

static void here(void *count)
{
    CHECK(pthread_equal(pthread_self(), loops));
    ++*(int *)count;
}

/* The loop ends the wait. What would have been taken is not taken. */
static struct context *victim;
static bool is_over;

static void is_ended(long way)
{
    int fd = open(path, O_RDWR);
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (way == 0)
        CHECK(flock(fd, LOCK_EX) == -1 && errno == EINTR);
    else if (way == 1)
        CHECK(fcntl(fd, F_OFD_SETLKW, &all) == -1 && errno == EINTR);
    else if (way == 2)
        CHECK(open(fifo, O_RDONLY) == -1 && errno == EINTR);
    else
        CHECK(wait(NULL) == -1 && errno == EINTR);
    close(fd);
    is_over = true;
    turns++;
}

static void ends(long unused)
{
    (void)unused;
    cancel(victim, GP_CANCEL_ERROR);
    while (!is_over)
        usleep(1000);
}

int main(int count, char **words)
{
    CHECK(count > 1);
    is_sliced = count > 2;
    loops = pthread_self();
    snprintf(path, sizeof path, "%s/file.%d", words[1], getpid()), snprintf(fifo, sizeof fifo, "%s/fifo.%d", words[1], getpid());
    CHECK(close(open(path, O_RDWR | O_CREAT, 0600)) == 0 && mkfifo(fifo, 0600) == 0);
    lend();
    for (int i = 0; i < 12; i++)
        spawn(takes_turns, i);
    run();
    born = child(true);
    spawn(locks_after_child, 0), spawn(tells, 0);
    run();
    for (int way = 0; way < 5; way++) {
        born = child(false);
        spawn(waits_for_child, way), spawn(tells, 0);
        run();
    }
    spawn(opens, 0), spawn(opens, 1);
    for (int i = 0; i < 4; i++)
        spawn(flushes, i), spawn(resolves, i);
    run();
    spawn(offloads, 0), spawn(tells, 0);
    run();
    int times = 0;
    CHECK(gp_offload(here, &times) == 0 && times == 1);
    int holder = open(path, O_RDWR);
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CHECK(flock(holder, LOCK_EX) == 0 && fcntl(holder, F_OFD_SETLK, &all) == 0);
    born = child(false);
    for (int way = 0; way < 4; way++) {
        is_over = false;
        victim = spawn(is_ended, way), spawn(ends, 0);
        run();
    }
    tells(0);
    CHECK(wait(NULL) == born && wait(NULL) == -1 && errno == ECHILD);
    close(holder);
    holder = open(path, O_RDWR);
    CHECK(flock(holder, LOCK_EX | LOCK_NB) == 0 && fcntl(holder, F_OFD_SETLK, &all) == 0);
    struct gp_loop_statistics of = {.size = sizeof of};
    CHECK(gp_loop_statistics(&of) == 0 && of.offloaded >= 36);
    CHECK(gp_unlend() == 0 && unlink(path) == 0 && unlink(fifo) == 0);
    fprintf(stderr, "%lu offloaded\n", of.offloaded);
    printf("%ld turns\n", turns);
    return 0;
}
