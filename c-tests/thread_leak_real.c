/* A leak check finds what threads have lost, also one that is parked when the program ends: its status says so.
 * covers: dl_iterate_phdr
 * proof: green_threads>=3 parks>=2
 * stderr: the sanitizer names process and addresses
 * needs: asan
 * cflags: -fsanitize=address -static-libasan
 * exit: 1
 */
#include "ctest.h"

enum { BLOCKS = 64, BYTES = 1000 };

static atomic_int ready;

__attribute__((noinline)) static void lose(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        char *volatile lost = malloc(BYTES);
        CHECK(lost);
        lost = NULL;
    }
}

static void *loses(void *waits)
{
    lose();
    ready++;
    if (waits)
        pause();
    return waits;
}

int main(void)
{
    spawn(loses, &ready);
    spawn(loses, &ready);
    join(spawn(loses, NULL));
    while (ready < 3)
        nap(1);
    say("done");
    return 0;
}
