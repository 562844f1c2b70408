/* What /proc shows of a thread, by its tid: name, state and CPU time of itself and of another, by open and by stdio, below the process and
 * beside it; a name written there is the thread's name; of nobody there is nothing.
 * covers: stat stat64 lstat lstat64 fstatat fstatat64 __xstat __xstat64 __lxstat __lxstat64 __fxstatat __fxstatat64 statx access faccessat
 *         readlink readlinkat opendir open openat gettid pthread_setname_np pthread_getname_np prctl
 * proof: green_threads>=2 parks>=2 hooks.open>=4 hooks.stat>=2 hooks.__xstat>=1 hooks.access>=2 hooks.opendir>=1
 */
#include "ctest.h"
#include <dirent.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int __xstat(int, const char *, struct stat *), __xstat64(int, const char *, struct stat64 *);
int __lxstat(int, const char *, struct stat *), __lxstat64(int, const char *, struct stat64 *);
int __fxstatat(int, int, const char *, struct stat *, int), __fxstatat64(int, int, const char *, struct stat64 *, int);

static sem_t told, over;
static pid_t other;

static char text[4096];

static const char *path_of(const char *format, pid_t tid)
{
    static char path[80];
    snprintf(path, sizeof path, format, tid);
    return path;
}

static void read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t bytes = read(fd, text, sizeof text - 1);
    CHECK(bytes > 0);
    text[bytes] = 0;
    close(fd);
}

static void read_stream(const char *path)
{
    FILE *file = fopen(path, "r");
    CHECK(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
}

static void looks(pid_t tid, const char *name)
{
    char line[64];
    const char *folders[] = {"/proc/self/task/%d", "/proc/%d"};
    snprintf(line, sizeof line, "%s\n", name);
    for (int i = 0; i < 2; i++) {
        char format[64];
        snprintf(format, sizeof format, "%s/comm", folders[i]);
        read_file(path_of(format, tid));
        CHECK(strcmp(text, line) == 0);
        read_stream(path_of(format, tid));
        CHECK(strcmp(text, line) == 0);
        snprintf(format, sizeof format, "%s/stat", folders[i]);
        read_stream(path_of(format, tid));
        char told_name[32], state;
        int told_tid;
        unsigned long user, system;
#define FIELDS "%d (%31[^)]) %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu"
        CHECK_IS(sscanf(text, FIELDS, &told_tid, told_name, &state, &user, &system), 5);
        CHECK(told_tid == tid && strcmp(told_name, name) == 0);
        CHECK(state == (tid == gettid() ? 'R' : 'S'));
        CHECK(user + system < 1000);
        snprintf(format, sizeof format, "%s/status", folders[i]);
        read_file(path_of(format, tid));
        snprintf(line, sizeof line, "\nPid:\t%d\n", tid);
        CHECK(strstr(text, line));
        snprintf(line, sizeof line, "\nTgid:\t%d\n", getpid());
        CHECK(strstr(text, line));
        snprintf(line, sizeof line, "Name:\t%s\n", name);
        CHECK(strncmp(text, line, strlen(line)) == 0);
        snprintf(line, sizeof line, "%s\n", name);
        snprintf(format, sizeof format, "%s/cmdline", folders[i]);
        read_file(path_of(format, tid));
    }
}

static void writes(pid_t tid, const char *name)
{
    int fd = openat(AT_FDCWD, path_of("/proc/self/task/%d/comm", tid), O_WRONLY);
    CHECK(fd >= 0);
    CHECK_IS(write(fd, "first", 5), 5);
    CHECK_IS(write(fd, name, strlen(name)), strlen(name));
    close(fd);
}

/* Each call that asks about a path, by each of its names, and by number. */
static void asks(const char *folder, const char *file, const char *link, int result)
{
    struct stat one;
    struct stat64 other_form;
    struct statx more;
    char to[64];
#define ASKED(call)                                                                                     \
    do {                                                                                                \
        if (result)                                                                                     \
            CHECK_FAILS(call, ENOENT);                                                                  \
        else                                                                                            \
            CHECK_IS(call, 0);                                                                          \
    } while (0)
    ASKED(stat(folder, &one));
    CHECK(result || S_ISDIR(one.st_mode));
    ASKED(stat(file, &one));
    CHECK(result || S_ISREG(one.st_mode));
    ASKED(stat64(folder, &other_form));
    ASKED(lstat(folder, &one));
    ASKED(lstat64(file, &other_form));
    ASKED(fstatat(AT_FDCWD, folder, &one, 0));
    ASKED(fstatat64(-1, file, &other_form, AT_SYMLINK_NOFOLLOW));
    ASKED(__xstat(1, folder, &one));
    ASKED(__xstat64(1, file, &other_form));
    ASKED(__lxstat(1, folder, &one));
    ASKED(__lxstat64(1, file, &other_form));
    ASKED(__fxstatat(1, AT_FDCWD, folder, &one, 0));
    ASKED(__fxstatat64(1, AT_FDCWD, file, &other_form, 0));
    ASKED(statx(AT_FDCWD, folder, 0, STATX_BASIC_STATS, &more));
    ASKED(access(folder, X_OK));
    ASKED(access(file, R_OK));
    ASKED(faccessat(AT_FDCWD, file, R_OK, 0));
    ASKED(syscall(SYS_stat, folder, &one));
    ASKED(syscall(SYS_lstat, folder, &one));
    ASKED(syscall(SYS_newfstatat, AT_FDCWD, folder, &one, 0));
    ASKED(syscall(SYS_statx, AT_FDCWD, folder, 0, STATX_BASIC_STATS, &more));
    ASKED(syscall(SYS_access, folder, F_OK));
    ASKED(syscall(SYS_faccessat, AT_FDCWD, folder, F_OK));
    if (result) {
        CHECK_FAILS(readlink(link, to, sizeof to), ENOENT);
        CHECK(!opendir(folder) && errno == ENOENT);
        return;
    }
    CHECK(readlink(link, to, sizeof to) > 0);
    CHECK(readlinkat(AT_FDCWD, link, to, sizeof to) > 0);
    CHECK(syscall(SYS_readlink, link, to, sizeof to) > 0);
    CHECK(syscall(SYS_readlinkat, AT_FDCWD, link, to, sizeof to) > 0);
    DIR *entries = opendir(folder);
    CHECK(entries);
    bool has_status = false;
    for (struct dirent *entry; (entry = readdir(entries));)
        has_status |= strcmp(entry->d_name, "status") == 0;
    CHECK(has_status);
    closedir(entries);
}

static void asks_of(pid_t tid, int result)
{
    char paths[3][160];
    const char *folders[] = {"/proc/self/task/%d", "/proc/%d"};
    for (int i = 0; i < 2; i++) {
        snprintf(paths[0], 80, folders[i], tid);
        strcat(strcpy(paths[1], paths[0]), "/status");
        strcat(strcpy(paths[2], paths[0]), "/cwd");
        asks(paths[0], paths[1], paths[2], result);
    }
}

static void *lives(void *argument)
{
    char name[16];
    pthread_setname_np(pthread_self(), "lives");
    other = gettid();
    sem_post(&told);
    sem_wait(&over);
    CHECK_IS(prctl(PR_GET_NAME, name), 0);
    CHECK(strcmp(name, "renamed by anot") == 0);
    return argument;
}

static void all(void)
{
    char name[16];
    pthread_t thread = spawn(lives, NULL);
    sem_wait(&told);
    pthread_setname_np(pthread_self(), "looks");
    looks(gettid(), "looks");
    say("its own");
    nap(5); /* natively the other may be on its way to sleep */
    looks(other, "lives");
    say("another's");
    writes(gettid(), "written");
    CHECK_IS(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    CHECK(strcmp(name, "written") == 0);
    FILE *file = fopen(path_of("/proc/self/task/%d/comm", gettid()), "w");
    CHECK(file);
    fputs("by stdio", file);
    fclose(file);
    looks(gettid(), "by stdio");
    writes(other, "renamed by another");
    looks(other, "renamed by anot");
    char line[32];
    int both = open(path_of("/proc/self/task/%d/comm", gettid()), O_RDWR | O_CLOEXEC);
    CHECK(both >= 0);
    CHECK_IS(read(both, line, sizeof line), 9);
    CHECK(memcmp(line, "by stdio\n", 9) == 0);
    CHECK_IS(read(both, line, sizeof line), 0);
    CHECK_IS(write(both, "read", 4), 4);
    looks(gettid(), "read");
    close(both);
    both = open(path_of("/proc/self/task/%d/comm", gettid()), O_RDWR);
    CHECK(both >= 0);
    CHECK_IS(write(both, "unread", 6), 6);
    close(both);
    looks(gettid(), "unread");
    say("written names");
    asks_of(gettid(), 0);
    asks_of(other, 0);
    say("paths asked about");
    int folder = open(path_of("/proc/self/task/%d", other), O_RDONLY | O_DIRECTORY);
    CHECK(folder >= 0);
    int status = openat(folder, "status", O_RDONLY);
    CHECK(status >= 0);
    close(status);
    close(folder);
    CHECK_FAILS(open(path_of("/proc/self/task/%d/nothing", other), O_RDONLY), ENOENT);
    sem_post(&over);
    join(thread);
    nap(10); /* natively the kernel takes a moment to forget it */
    CHECK_FAILS(open(path_of("/proc/self/task/%d/comm", other), O_RDONLY), ENOENT);
    CHECK_FAILS(open(path_of("/proc/%d/status", other), O_RDONLY), ENOENT);
    asks_of(other, ENOENT);
    CHECK_FAILS(open("/proc/self/task/99999999999/comm", O_RDONLY), ENOENT);
    say("nobody's");
}

int main(void)
{
    sem_init(&told, 0, 0);
    sem_init(&over, 0, 0);
    in_thread(all);
    return 0;
}
