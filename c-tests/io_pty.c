/* A terminal: reading waits for a line, or for VMIN and VTIME, from both ends; tcdrain returns; the master's end is a hang-up.
 * covers: read write tcdrain ioctl poll
 * proof: green_threads>=4 parks>=1 hooks.read>=3 hooks.tcdrain>=1
 * passes: ioctl: what a terminal has to read is the kernel's to tell
 */
#include "ctest.h"
#include <sys/ioctl.h>
#include <termios.h>

static int master, terminal;

static void *typist(void *unused)
{
    nap(2);
    CHECK_IS(write(master, "hel", 3), 3);
    nap(2);
    CHECK_IS(write(master, "lo\nworld\n", 9), 9);
    return unused;
}

static void lines(void)
{
    char text[32] = "";
    pthread_t thread = spawn(typist, NULL);
    CHECK_IS(read(terminal, text, sizeof text), 6);
    say("a line: %.5s", text);
    CHECK_IS(read(terminal, text, 2), 2);
    CHECK_IS(read(terminal, text + 2, sizeof text - 2), 4);
    say("another, in parts: %.5s", text);
    join(thread);
}

static void *printer(void *unused)
{
    nap(2);
    CHECK_IS(write(terminal, "printed", 7), 7);
    CHECK_IS(tcdrain(terminal), 0);
    return unused;
}

static void other_way(void)
{
    char text[32] = "";
    pthread_t thread = spawn(printer, NULL);
    CHECK_IS(read(master, text, sizeof text), 7);
    say("the master reads: %s", text);
    join(thread);
}

static void *key(void *unused)
{
    nap(2);
    CHECK_IS(write(master, "k", 1), 1);
    return unused;
}

static void raw(void)
{
    struct termios mode;
    char text[8] = "";
    int size;
    CHECK_IS(tcgetattr(terminal, &mode), 0);
    cfmakeraw(&mode);
    mode.c_cc[VMIN] = 1, mode.c_cc[VTIME] = 0;
    CHECK_IS(tcsetattr(terminal, TCSANOW, &mode), 0);
    pthread_t thread = spawn(key, NULL);
    CHECK_IS(read(terminal, text, sizeof text), 1);
    join(thread);
    mode.c_cc[VMIN] = 0, mode.c_cc[VTIME] = 1;
    CHECK_IS(tcsetattr(terminal, TCSANOW, &mode), 0);
    long long begin = now_ms();
    CHECK_IS(read(terminal, text, sizeof text), 0);
    CHECK(now_ms() - begin >= 50);
    say("raw: a key, then VTIME without one: 0");
    mode.c_cc[VMIN] = 3, mode.c_cc[VTIME] = 0;
    CHECK_IS(tcsetattr(terminal, TCSANOW, &mode), 0);
    thread = spawn(key, NULL);
    join(thread);
    while (CHECK(ioctl(terminal, FIONREAD, &size) == 0), size < 1)
        nap(1);
    CHECK_IS(size, 1);
    thread = spawn(key, NULL);
    join(thread);
    thread = spawn(key, NULL);
    CHECK_IS(read(terminal, text, sizeof text), 3);
    join(thread);
    say("VMIN 3: waited for the third: %.3s", text);
}

static void *hang_up(void *unused)
{
    nap(2);
    close(master);
    return unused;
}

static void the_end(void)
{
    char text[8];
    struct pollfd entry = {terminal, POLLIN, 0};
    pthread_t thread = spawn(hang_up, NULL);
    ssize_t got = read(terminal, text, sizeof text);
    CHECK(got == 0 || errno == EIO);
    join(thread);
    CHECK_IS(poll(&entry, 1, -1), 1);
    CHECK(entry.revents & POLLHUP);
    CHECK_FAILS(write(terminal, "x", 1), EIO);
    CHECK_FAILS(tcdrain(-1), EBADF);
    say("hung up: the blocked reader has 0 or EIO, poll POLLHUP, write EIO");
}

static void all(void)
{
    lines();
    other_way();
    raw();
    the_end();
}

int main(void)
{
    struct termios mode;
    signal(SIGHUP, SIG_IGN);
    master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK(terminal >= 0);
    CHECK_IS(tcgetattr(terminal, &mode), 0);
    mode.c_lflag &= ~ECHO;
    mode.c_oflag &= ~OPOST;
    CHECK_IS(tcsetattr(terminal, TCSANOW, &mode), 0);
    in_thread(all);
    return 0;
}
