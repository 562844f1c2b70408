/* /proc/self/task as a folder: each thread of the program's is there, and nobody else, however it is read; what is read below it by a
 * relative path; /proc/thread-self is the caller; the process's stat and status count its threads; a thread that libc made for a timer
 * sees the same.
 * covers: getdents64 chdir opendir open openat readlink readlinkat fstatat access gettid
 * proof: green_threads>=4 parks>=4 hooks.getdents64>=8 hooks.open>=8 hooks.openat>=2 hooks.chdir>=1
 */
#include "ctest.h"
#include <dirent.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define OTHERS 3
#define MOST 16

static sem_t told, over;
static pid_t others[OTHERS];

/* What was listed, in order of the tids. */
static struct {
    pid_t tids[MOST];
    int count;
} seen;

static int by_number(const void *one, const void *other)
{
    return *(const pid_t *)one - *(const pid_t *)other;
}

static void see(const char *name)
{
    if (name[0] == '.')
        return;
    CHECK(seen.count < MOST);
    seen.tids[seen.count++] = atoi(name);
}

static bool has_seen(pid_t tid)
{
    for (int i = 0; i < seen.count; i++)
        if (seen.tids[i] == tid)
            return true;
    return false;
}

/* main, the caller, and the others that live. */
static void must_be(int count)
{
    qsort(seen.tids, seen.count, sizeof(pid_t), by_number);
    for (int i = 1; i < seen.count; i++)
        CHECK(seen.tids[i - 1] < seen.tids[i]);
    CHECK(has_seen(getpid()) && has_seen(gettid()));
    for (int i = 0; i < OTHERS && count > 2; i++)
        CHECK(has_seen(others[i]));
    CHECK_IS(seen.count, count);
    seen.count = 0;
}

static void by_readdir(const char *path)
{
    DIR *entries = opendir(path);
    CHECK(entries);
    seen.count = 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        CHECK(entry->d_type == DT_DIR && entry->d_ino != 0);
        see(entry->d_name);
    }
    closedir(entries);
}

static void again_and_back(void)
{
    DIR *entries = opendir("/proc/self/task");
    long places[MOST];
    char names[MOST][16];
    int count = 0;
    CHECK(entries);
    for (struct dirent *entry; places[count] = telldir(entries), (entry = readdir(entries)); count++)
        strcpy(names[count], entry->d_name);
    CHECK_IS(count, 2 + 2 + OTHERS);
    while (count--) {
        seekdir(entries, places[count]);
        CHECK(strcmp(readdir(entries)->d_name, names[count]) == 0);
    }
    rewinddir(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        see(entry->d_name);
    CHECK(!readdir(entries));
    closedir(entries);
    must_be(2 + OTHERS);
}

static void by_scandir(void)
{
    struct dirent **entries;
    int count = scandir("/proc/self/task", &entries, NULL, alphasort);
    CHECK_IS(count, 2 + 2 + OTHERS);
    for (int i = 0; i < count; i++) {
        see(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    must_be(2 + OTHERS);
}

struct entry {
    uint64_t inode;
    int64_t next;
    uint16_t length;
    uint8_t type;
    char name[];
};

/* In rooms of so many bytes, by the function or by the number. */
static void by_call(int bytes, bool by_syscall)
{
    char room[512];
    int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    for (;;) {
        memset(room, 'x', sizeof room);
        long got = by_syscall ? syscall(SYS_getdents64, fd, room, bytes) : getdents64(fd, room, bytes);
        CHECK(got >= 0 && got <= bytes);
        CHECK(room[bytes] == 'x');
        if (got == 0)
            break;
        for (long at = 0; at < got;) {
            struct entry *entry = (struct entry *)(room + at);
            CHECK(entry->length % 8 == 0);
            see(entry->name);
            at += entry->length;
        }
    }
    CHECK_FAILS(getdents64(-1, room, bytes), EBADF);
    CHECK_IS(lseek(fd, 0, SEEK_SET), 0);
    CHECK_FAILS(getdents64(fd, room, 8), EINVAL);
    CHECK_FAILS(getdents64(fd, (void *)8, 512), EFAULT);
    close(fd);
    must_be(2 + OTHERS);
}

static char text[4096];

static void read_from(int fd)
{
    CHECK(fd >= 0);
    ssize_t bytes = read(fd, text, sizeof text - 1);
    CHECK(bytes > 0);
    text[bytes] = 0;
    close(fd);
}

static const char *below(pid_t tid, const char *name)
{
    static char path[64];
    snprintf(path, sizeof path, "%d/%s", tid, name);
    return path;
}

static void is_own(const char *stat_text)
{
    int tid;
    char name[32];
    CHECK_IS(sscanf(stat_text, "%d (%31[^)])", &tid, name), 2);
    CHECK_IS(tid, gettid());
    CHECK(strcmp(name, "asks") == 0);
}

static void thread_self(int proc)
{
    char link[64], wanted[64], whole[PATH_MAX];
    struct stat facts;
    snprintf(wanted, sizeof wanted, "%d/task/%d", getpid(), gettid());
    memset(link, 0, sizeof link);
    CHECK_IS(readlink("/proc/thread-self", link, sizeof link), strlen(wanted));
    CHECK(strcmp(link, wanted) == 0);
    CHECK_IS(readlinkat(proc, "thread-self", link, 3), 3);
    CHECK_IS(syscall(SYS_readlink, "/proc/thread-self", link, sizeof link), strlen(wanted));
    CHECK(strcmp(link, wanted) == 0);
    CHECK(realpath("/proc/thread-self", whole));
    CHECK(strcmp(whole + strlen("/proc/"), wanted) == 0);
    CHECK_IS(stat("/proc/thread-self/status", &facts), 0);
    CHECK_IS(access("/proc/thread-self/maps", R_OK), 0);
    read_from(open("/proc/thread-self/stat", O_RDONLY));
    is_own(text);
    read_from(openat(proc, "thread-self/stat", O_RDONLY | O_CLOEXEC));
    is_own(text);
    read_from(syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/stat", O_RDONLY));
    is_own(text);
    FILE *file = fopen("/proc/thread-self/comm", "r");
    CHECK(file && fgets(text, sizeof text, file) && strcmp(text, "asks\n") == 0);
    fclose(file);
    file = fopen("/proc/thread-self/comm", "w");
    CHECK(file && fputs("written", file) >= 0 && fclose(file) == 0);
    read_from(open("/proc/thread-self/comm", O_RDONLY));
    CHECK(strcmp(text, "written\n") == 0);
    pthread_setname_np(pthread_self(), "asks");
    read_from(open("/proc/thread-self/cmdline", O_RDONLY));
    CHECK_FAILS(open("/proc/thread-self/nothing", O_RDONLY), ENOENT);
    CHECK_FAILS(open("/proc/thread-selfish", O_RDONLY), ENOENT);
}

static void relative(int proc)
{
    struct stat facts;
    char here[PATH_MAX];
    int tasks = openat(proc, "self/task", O_RDONLY | O_DIRECTORY);
    CHECK(tasks >= 0);
    for (int i = 0; i < OTHERS; i++) {
        read_from(openat(tasks, below(others[i], "comm"), O_RDONLY));
        CHECK(strcmp(text, "waits\n") == 0);
        CHECK_IS(fstatat(tasks, below(others[i], "status"), &facts, 0), 0);
        CHECK_IS(faccessat(tasks, below(others[i], "stat"), R_OK, 0), 0);
        CHECK(readlinkat(tasks, below(others[i], "cwd"), text, sizeof text) > 0);
    }
    CHECK_FAILS(openat(tasks, "99999999/comm", O_RDONLY), ENOENT);
    CHECK(getcwd(here, sizeof here));
    CHECK_IS(chdir("/proc/self/task"), 0);
    read_from(open(below(others[0], "comm"), O_RDONLY));
    CHECK(strcmp(text, "waits\n") == 0);
    read_from(open(below(gettid(), "stat"), O_RDONLY));
    is_own(text);
    CHECK_IS(stat(below(others[1], "status"), &facts), 0);
    CHECK_IS(chdir(below(others[1], "")), 0);
    CHECK_IS(access("status", R_OK), 0);
    CHECK_IS(chdir(here), 0);
    snprintf(text, sizeof text, "/proc/self/task/%d", others[2]);
    CHECK_IS(syscall(SYS_chdir, text), 0);
    CHECK_IS(chdir(here), 0);
    CHECK_FAILS(chdir("/proc/self/task/99999999"), ENOENT);
    close(tasks);
}

/* A thread's own two files count all. (The process's are the kernel's, as they are, for they are read again and again.) */
static void counted(int count)
{
    int threads;
    snprintf(text, sizeof text, "/proc/self/task/%d/status", gettid());
    read_from(open(text, O_RDONLY));
    const char *line = strstr(text, "\nThreads:");
    CHECK(line);
    CHECK_IS(sscanf(line, "\nThreads: %d", &threads), 1);
    CHECK_IS(threads, count);
    snprintf(text, sizeof text, "/proc/self/task/%d/stat", gettid());
    read_from(open(text, O_RDONLY));
    CHECK_IS(sscanf(text, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d", &threads), 1);
    CHECK_IS(threads, count);
}

/* What the process's own file tells is read again from the same descriptor: the time that it has computed grows. */
static void read_again(void)
{
    int fd = open("/proc/self/stat", O_RDONLY);
    long first = -1, now = -1;
    CHECK(fd >= 0);
    do {
        char line[1024] = "";
        CHECK(pread(fd, line, sizeof line - 1, 0) > 0);
        CHECK_IS(sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld", &now), 1);
        first = first < 0 ? now : first;
    } while (now == first);
    close(fd);
}

static void *waits(void *argument)
{
    pthread_setname_np(pthread_self(), "waits");
    *(pid_t *)argument = gettid();
    sem_post(&told);
    sem_wait(&over);
    return NULL;
}

static pid_t asker;

static void by_timer(union sigval value)
{
    (void)value;
    by_readdir("/proc/self/task");
    CHECK(has_seen(getpid()) && has_seen(asker) && has_seen(syscall(SYS_gettid)));
    for (int i = 0; i < OTHERS; i++) {
        CHECK(has_seen(others[i]));
        snprintf(text, sizeof text, "/proc/self/task/%d/comm", others[i]);
        read_from(open(text, O_RDONLY));
        CHECK(strcmp(text, "waits\n") == 0);
    }
    snprintf(text, sizeof text, "/proc/self/task/%d", others[0]);
    struct stat facts;
    CHECK_IS(stat(text, &facts), 0);
    int target = -1;
    memset(text, 0, sizeof text);
    CHECK(readlink("/proc/thread-self", text, sizeof text) > 0);
    CHECK_IS(sscanf(text, "%*d/task/%d", &target), 1);
    CHECK_IS(target, syscall(SYS_gettid));
    sem_post(&told);
}

static void all(void)
{
    pthread_t threads[OTHERS];
    pthread_setname_np(pthread_self(), "asks");
    asker = gettid();
    for (int i = 0; i < OTHERS; i++) {
        threads[i] = spawn(waits, &others[i]);
        sem_wait(&told);
    }
    by_readdir("/proc/self/task");
    must_be(2 + OTHERS);
    snprintf(text, sizeof text, "/proc/%d/task/", getpid());
    by_readdir(text);
    must_be(2 + OTHERS);
    again_and_back();
    by_scandir();
    for (int bytes = 32; bytes <= 256; bytes *= 2) {
        by_call(bytes, false);
        by_call(bytes, true);
    }
    say("listed");
    int proc = open("/proc", O_RDONLY | O_DIRECTORY);
    CHECK(proc >= 0);
    thread_self(proc);
    say("thread-self");
    relative(proc);
    say("relative paths");
    counted(2 + OTHERS);
    read_again();
    say("counted");
    close(proc);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = by_timer};
    struct itimerspec soon = {.it_value.tv_nsec = 1000000};
    timer_t timer;
    CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    CHECK_IS(timer_settime(timer, 0, &soon, NULL), 0);
    sem_wait(&told);
    CHECK_IS(timer_delete(timer), 0);
    say("by a thread of libc's");
    for (int i = 0; i < OTHERS; i++)
        sem_post(&over);
    for (int i = 0; i < OTHERS; i++)
        join(threads[i]);
    /* Natively the kernel takes a moment to forget them, and libc keeps its helper for timers. */
    for (bool are_there = true; are_there;) {
        by_readdir("/proc/self/task");
        are_there = has_seen(others[0]) || has_seen(others[1]) || has_seen(others[2]);
        if (are_there)
            nap(1);
    }
    CHECK(has_seen(getpid()) && has_seen(gettid()) && seen.count <= 4);
    say("ended");
}

int main(void)
{
    sem_init(&told, 0, 0);
    sem_init(&over, 0, 0);
    by_readdir("/proc/self/task");
    CHECK_IS(seen.count, 1);
    in_thread(all);
    for (seen.count = 0; seen.count != 2;) /* main, and libc's helper */
        by_readdir("/proc/self/task");
    char link[64] = "";
    int target = -1;
    CHECK(readlink("/proc/thread-self", link, sizeof link - 1) > 0);
    CHECK_IS(sscanf(link, "%*d/task/%d", &target), 1);
    CHECK_IS(target, getpid());
    FILE *file = fopen("/proc/thread-self/stat", "r");
    CHECK(file && fscanf(file, "%d", &target) == 1 && target == getpid());
    fclose(file);
    say("main alone");
    return 0;
}
