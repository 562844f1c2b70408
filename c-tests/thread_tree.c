/* Threads make threads, which make threads: a tree of depth seven, each joining its two children.
 * covers: pthread_create pthread_join
 * proof: green_threads>=255 parks>=60
 */
#include "ctest.h"

static void *node(void *depth)
{
    intptr_t left = (intptr_t)depth, count = 1;
    if (left > 0) {
        pthread_t children[2] = {spawn(node, (void *)(left - 1)), spawn(node, (void *)(left - 1))};
        count += (intptr_t)join(children[1]) + (intptr_t)join(children[0]);
    }
    return (void *)count;
}

int main(void)
{
    say("%d threads in the tree", (int)(intptr_t)join(spawn(node, (void *)7)));
    return 0;
}
