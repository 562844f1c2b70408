/* copy_file_range between two files: offsets given and own, the end, several threads each copying their part.
 * covers: copy_file_range pread
 * proof: green_threads>=8 hooks.copy_file_range>=8
 * no_park: files are always ready, and main may find the threads at their ends
 */
#include "ctest.h"

enum { PARTS = 8, PART = 10000 };
static int from, to;

static void *copy_part(void *number)
{
    off64_t in = (intptr_t)number * PART, out = in, end = in + PART;
    while (in < end)
        CHECK(copy_file_range(from, &in, to, &out, end - in, 0) > 0);
    CHECK_IS(out, end);
    return NULL;
}

int main(void)
{
    static char block[PARTS * PART], copy[sizeof block + 1];
    pthread_t thread[PARTS];
    FILE *source = memory_file(), *target = memory_file();
    CHECK(source && target);
    from = fileno(source), to = fileno(target);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = i * 17 + i / 263;
    CHECK_IS(pwrite(from, block, sizeof block, 0), sizeof block);
    for (int i = 0; i < PARTS; i++)
        thread[i] = spawn(copy_part, (void *)(intptr_t)i);
    for (int i = 0; i < PARTS; i++)
        join(thread[i]);
    CHECK_IS(pread(to, copy, sizeof copy, 0), sizeof block);
    CHECK(memcmp(block, copy, sizeof block) == 0);
    say("%d parts copied", PARTS);
    CHECK_IS(lseek(from, 0, SEEK_CUR) + lseek(to, 0, SEEK_CUR), 0);
    CHECK_IS(copy_file_range(from, NULL, to, NULL, 5, 0), 5);
    CHECK_IS(lseek(from, 0, SEEK_CUR), 5);
    CHECK_IS(copy_file_range(from, &(off64_t){sizeof block}, to, NULL, 5, 0), 0);
    CHECK_FAILS(copy_file_range(from, NULL, to, NULL, 5, 1), EINVAL);
    CHECK_FAILS(copy_file_range(-1, NULL, to, NULL, 5, 0), EBADF);
    say("own offsets move, the end is 0, bad flags EINVAL");
    return 0;
}
