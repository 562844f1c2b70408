/* Names and addresses, by the files, by a name server of the test's own, and by questions put to that directly.
 * covers: getaddrinfo getnameinfo gethostbyname gethostbyname2 gethostbyaddr gethostbyname_r gethostbyname2_r gethostbyaddr_r
 * covers: res_query res_search res_send res_nquery res_nsearch res_nsend
 * proof: green_threads>=3 parks>=31 hooks.getaddrinfo>=3 hooks.getnameinfo>=2 hooks.gethostbyname>=1 hooks.res_query>=1 hooks.res_nsend>=1
 */
#include "name_server.h"

static const unsigned char address[] = {127, 1, 2, 3};

static void with_addrinfo(void)
{
    struct addrinfo number = {.ai_flags = AI_NUMERICHOST, .ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo name = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    char host[64], service[16];
    CHECK_IS(getaddrinfo("127.1.2.3", "80", &number, &found), 0);
    CHECK_IS(getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, service, sizeof service,
                         NI_NUMERICHOST | NI_NUMERICSERV), 0);
    say("the number %s, %s", host, service);
    CHECK_IS(getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, NULL, 0, NI_NAMEREQD), EAI_NONAME);
    freeaddrinfo(found);
    CHECK_IS(getaddrinfo("no number", "80", &number, &found), EAI_NONAME);
    CHECK_IS(getaddrinfo("name.test", NULL, &name, &found), 0);
    CHECK(memcmp(&((struct sockaddr_in *)found->ai_addr)->sin_addr, address, 4) == 0);
    freeaddrinfo(found);
    say("getaddrinfo: asked the server");
}

static void check_host(const struct hostent *host)
{
    CHECK(host && host->h_length == 4 && memcmp(host->h_addr_list[0], address, 4) == 0);
}

static void with_hostent(void)
{
    struct hostent host, *found;
    char room[1024];
    int error = 0;
    check_host(gethostbyname("name.test"));
    check_host(gethostbyname2("name.test", AF_INET));
    CHECK_IS(gethostbyname_r("name.test", &host, room, sizeof room, &found, &error), 0);
    check_host(found);
    CHECK_IS(gethostbyname2_r("name.test", AF_INET, &host, room, sizeof room, &found, &error), 0);
    check_host(found);
    CHECK_IS(gethostbyname_r("name.test", &host, room, 1, &found, &error), ERANGE);
    h_errno = 0;
    CHECK(gethostbyaddr(address, 4, AF_INET) == NULL);
    CHECK_IS(h_errno, HOST_NOT_FOUND);
    CHECK_IS(gethostbyaddr_r(address, 4, AF_INET, &host, room, sizeof room, &found, &error), 0);
    CHECK(found == NULL && error == HOST_NOT_FOUND);
    say("gethostby…: asked the server");
}

static void with_questions(void)
{
    unsigned char question[NS_PACKETSZ], reply[NS_PACKETSZ];
    int asked = res_mkquery(ns_o_query, "name.test", ns_c_in, ns_t_a, NULL, 0, NULL, question, sizeof question);
    CHECK(asked > 0);
    int length = asked + sizeof known_address;
    CHECK_IS(res_query("name.test", ns_c_in, ns_t_a, reply, sizeof reply), length);
    CHECK_IS(res_search("name.test", ns_c_in, ns_t_a, reply, sizeof reply), length);
    CHECK_IS(res_send(question, asked, reply, sizeof reply), length);
    CHECK_IS(res_nquery(&_res, "name.test", ns_c_in, ns_t_a, reply, sizeof reply), length);
    CHECK_IS(res_nsearch(&_res, "name.test", ns_c_in, ns_t_a, reply, sizeof reply), length);
    CHECK_IS(res_nsend(&_res, question, asked, reply, sizeof reply), length);
    CHECK_IS(res_query("name.test", ns_c_in, ns_t_txt, reply, sizeof reply), -1);
    CHECK_IS(h_errno, HOST_NOT_FOUND);
    say("res_…: asked the server");
}

static void all(void)
{
    ask_name_server();
    with_addrinfo();
    with_hostent();
    with_questions();
}

int main(void)
{
    start_name_server();
    in_thread(all);
    in_thread(all);
    return 0;
}
