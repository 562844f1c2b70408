/* Asks the header's questions of a program that was linked without the library. */
#include "../../include/greenpatch.h"
#include <stdio.h>

int main(void) {
    if (!gp_is_present()) {
        puts("no library");
        return 0;
    }
    printf("version %d mode %d\n", gp_version(), gp_mode());
    return 0;
}
