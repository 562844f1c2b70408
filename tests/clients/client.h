/* client: what the programs of tests/clients/c_*.toml share. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* A text that is never freed. */
__attribute__((unused)) static char *text(const char *form, ...) {
    char *made = malloc(4096);
    va_list values;
    va_start(values, form);
    vsnprintf(made, 4096, form, values);
    va_end(values);
    return made;
}

/* A connection to a port of this machine. */
__attribute__((unused)) static int dial(int port) {
    int made = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(made, (struct sockaddr *)&at, sizeof at) ? -1 : made;
}

/* Has the server stopped for a while by scripts/clients. */
__attribute__((unused)) static void pause_server(void) {
    char byte;
    if (write(1, "pause\n", 6) != 6 || read(0, &byte, 1) != 1) _exit(3);
}
