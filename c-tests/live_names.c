/* Threads that ask a name server which does not answer keep nobody else from running.
 * covers: getaddrinfo
 * proof: green_threads>=22 parks>=22 hooks.getaddrinfo>=20
 */
#include "ticker.h"
#include "name_server.h"

static void be_silent(void)
{
    pthread_mutex_lock(&speaking);
}

static void look_up(void)
{
    struct addrinfo wanted = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    ask_name_server();
    CHECK_IS(getaddrinfo("name.test", "80", &wanted, &found), 0);
    CHECK_IS(ntohl(((struct sockaddr_in *)found->ai_addr)->sin_addr.s_addr), 0x7f010203);
    freeaddrinfo(found);
}

static void speak(void)
{
    pthread_mutex_unlock(&speaking);
}

int main(void)
{
    start_name_server();
    tick_while_stuck(&(struct way){"getaddrinfo", be_silent, look_up, speak});
    return 0;
}
