/* A client that waits at a tarpit: client MODE HOST PORT. What it prints is what it has seen in the end. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in server;

static int connected(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0) {
        printf("not connected: %d\n", errno);
        exit(2);
    }
    return fd;
}

/* Reads until the end: how many bytes came, and whether the end was a reset. */
static void drain(int fd, const char *expected) {
    char bytes[4096];
    size_t count = 0;
    ssize_t more;
    while ((more = recv(fd, bytes + count, sizeof bytes - count, 0)) > 0) count += more;
    if (expected && !memmem(bytes, count, expected, strlen(expected))) printf("not answered: ");
    printf("%zu bytes, %s\n", count, more == 0 ? "closed" : errno == ECONNRESET ? "reset" : "failed");
}

static void *waits(void *nothing) {
    char byte;
    recv(connected(), &byte, 1, 0);
    return nothing;
}

int main(int count, char **words) {
    if (count != 4) return 3;
    const char *mode = words[1];
    server.sin_family = AF_INET;
    server.sin_port = htons(atoi(words[3]));
    inet_pton(AF_INET, words[2], &server.sin_addr);
    if (strcmp(mode, "threads") == 0) {
        pthread_t threads[5];
        for (int at = 0; at < 5; at++) pthread_create(&threads[at], NULL, waits, NULL);
        for (int at = 0; at < 5; at++) pthread_join(threads[at], NULL);
        return 0;
    }
    if (strcmp(mode, "at_once") == 0) return 7;
    int fd = connected();
    if (strcmp(mode, "leaves") == 0) return 8;
    if (strcmp(mode, "forever") == 0) {
        /* The end of the connection ends no wait. */
        static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
        pthread_mutex_lock(&mutex);
        for (;;) pthread_cond_wait(&cond, &mutex);
    }
    if (strcmp(mode, "stays") == 0) {
        drain(fd, NULL);
        for (;;) pause();
    }
    if (strcmp(mode, "http") == 0) {
        const char *request = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
        send(fd, request, strlen(request), 0);
        drain(fd, "HTTP/1.1 200 OK\r\n");
    } else if (strcmp(mode, "postgresql") == 0) {
        static const unsigned char wish[8] = {0, 0, 0, 8, 4, 210, 22, 47};
        static const unsigned char start[17] = {0, 0, 0, 17, 0, 3, 0, 0, 'u', 's', 'e', 'r', 0, 'm', 'e', 0, 0};
        char answer = 0;
        send(fd, wish, sizeof wish, 0);
        recv(fd, &answer, 1, 0);
        if (answer != 'N') printf("not refused: ");
        send(fd, start, sizeof start, 0);
        drain(fd, "UTF8");
    } else if (strcmp(mode, "mysql") == 0) {
        drain(fd, "mysql_native_password");
    } else {
        drain(fd, NULL);
    }
    return 0;
}
