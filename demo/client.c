/* An ordinary blocking client: `client PORT THREADS`. It is built with `cc -O2 -pthread` and knows nothing of green threads.
 *
 * Each thread connects to the slow server, sends a line and sits in recv() until the line comes back, while a ticker thread
 * prints a dot ten times a second. If any of them kept the others from running, the dots would stop. At the end it prints
 * what it saw, one `name=value` a line; the kernel's own account (/proc/self/status) says how many threads it took. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in server = {.sin_family = AF_INET};
static atomic_bool finished;
static atomic_int answers;

/* Written by the ticker alone, read by main once it has ended. */
static int ticks;
static double largest_gap;
static long kernel_threads, private_kib;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void keep_largest(long *largest, long value) {
    if (value > *largest) *largest = value;
}

/* Asks the kernel how many threads this process has, and how much memory that no other process shares. */
static void look_at_myself(void) {
    char line[256];
    long value;
    FILE *status = fopen("/proc/self/status", "r");
    if (!status) die("/proc/self/status");
    while (fgets(line, sizeof line, status)) {
        if (sscanf(line, "Threads: %ld", &value) == 1) keep_largest(&kernel_threads, value);
        if (sscanf(line, "RssAnon: %ld", &value) == 1) keep_largest(&private_kib, value);
    }
    fclose(status);
}

static void *tick(void *unused) {
    double last = now();
    while (!finished) {
        usleep(100000);
        double gap = now() - last;
        if (gap > largest_gap) largest_gap = gap;
        last += gap;
        ticks++;
        putchar('.');
        fflush(stdout);
        look_at_myself();
    }
    return unused;
}

static void *ask(void *number) {
    char request[64], answer[64];
    size_t length = snprintf(request, sizeof request, "request %ld\n", (long)number), received = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) die("socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0) die("connect");
    if (send(fd, request, length, 0) != (ssize_t)length) die("send");
    while (received < length) {
        ssize_t count = recv(fd, answer + received, length - received, 0);
        if (count <= 0) die("recv");
        received += count;
    }
    if (memcmp(request, answer, length) == 0) answers++;
    close(fd);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: client PORT THREADS\n");
        return 2;
    }
    server.sin_port = htons(atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    long threads = atol(argv[2]);
    pthread_t ticker, *askers = calloc(threads, sizeof *askers);
    if (!askers) die("calloc");
    alarm(60); /* a demonstration that hangs should end all the same */

    double start = now();
    if (pthread_create(&ticker, NULL, tick, NULL)) die("pthread_create");
    for (long i = 0; i < threads; i++)
        if (pthread_create(&askers[i], NULL, ask, (void *)i)) die("pthread_create");
    for (long i = 0; i < threads; i++) pthread_join(askers[i], NULL);
    double elapsed = now() - start;
    finished = true;
    pthread_join(ticker, NULL);
    free(askers);

    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("\nanswers=%d\nticks=%d\nlargest_gap_ms=%.0f\nelapsed_ms=%.0f\n", answers, ticks, largest_gap * 1e3, elapsed * 1e3);
    printf("kernel_threads=%ld\nprivate_kib=%ld\n", kernel_threads, private_kib);
    printf("cpu_ms=%ld\n", (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000);
    return 0;
}
