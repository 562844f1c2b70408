/* A name server of the test's own on 127.0.0.1: silent until it is told to speak; then each name has the address 127.1.2.3. */
#ifndef CTEST_NAME_SERVER_H
#define CTEST_NAME_SERVER_H

#include "ctest.h"
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <nss.h>
#include <resolv.h>
#include <sys/socket.h>

static int name_server;
static struct sockaddr_in name_server_address;
static pthread_mutex_t speaking = PTHREAD_MUTEX_INITIALIZER;

/* Where the question's name begins in an answer, which follows the question. */
static const unsigned char known_address[] = {0xc0, 12, 0, ns_t_a, 0, ns_c_in, 0, 0, 0, 60, 0, 4, 127, 1, 2, 3};

static void *answers(void *unused)
{
    unsigned char packet[NS_PACKETSZ + sizeof known_address];
    struct sockaddr_in asker;
    socklen_t length = sizeof asker;
    ssize_t bytes;
    while ((bytes = recvfrom(name_server, packet, NS_PACKETSZ, 0, (void *)&asker, &length)) > NS_HFIXEDSZ) {
        pthread_mutex_lock(&speaking);
        pthread_mutex_unlock(&speaking);
        size_t end = NS_HFIXEDSZ;
        while (packet[end] != 0)
            end += packet[end] + 1;
        end += 1 + NS_QFIXEDSZ;
        bool asks_address = packet[end - 3] == ns_t_a;
        packet[2] = 0x81; /* an answer, recursion was desired … */
        packet[3] = asks_address ? 0x80 : 0x83; /* … and is available; no such name */
        packet[7] = asks_address;
        packet[9] = packet[11] = 0;
        memcpy(packet + end, known_address, sizeof known_address);
        end += asks_address ? sizeof known_address : 0;
        CHECK_IS(sendto(name_server, packet, end, 0, (void *)&asker, length), end);
    }
    return unused;
}

static inline void start_name_server(void)
{
    socklen_t length = sizeof name_server_address;
    name_server_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    name_server = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_IS(bind(name_server, (void *)&name_server_address, length), 0);
    CHECK_IS(getsockname(name_server, (void *)&name_server_address, &length), 0);
    CHECK_IS(__nss_configure_lookup("hosts", "files dns"), 0);
    spawn(answers, NULL);
}

/* This thread asks that server from now on, and no other. */
static inline void ask_name_server(void)
{
    CHECK_IS(res_init(), 0);
    _res.nscount = 1;
    _res.nsaddr_list[0] = name_server_address;
    _res.options &= ~(RES_DNSRCH | RES_DEFNAMES | RES_USE_EDNS0);
}

#endif
