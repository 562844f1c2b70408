/* What else belongs to a thread survives its waits and is fresh in the next: errno, rounding mode, locale, dlerror's message.
 * covers: pthread_create nanosleep
 * proof: green_threads>=40 parks>=40
 */
#include "ctest.h"
#include <dlfcn.h>
#include <locale.h>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

static locale_t c_locale;

/* The floating-point control word, where the compiler lets us at it without libm. */
static unsigned rounding(void)
{
#ifdef __x86_64__
    return _MM_GET_ROUNDING_MODE();
#else
    return 0;
#endif
}

static void round_down(void)
{
#ifdef __x86_64__
    _MM_SET_ROUNDING_MODE(_MM_ROUND_DOWN);
#endif
}

static void *keeps(void *argument)
{
    bool changes = (intptr_t)argument % 2;
    unsigned initial = rounding();
    volatile double third = 1.0;
    CHECK_IS(errno, 0);
    CHECK(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
    CHECK(dlerror() == NULL);
    CHECK((initial & 0x6000) == 0);
    if (changes) {
        round_down();
        uselocale(c_locale);
        CHECK(dlsym(RTLD_DEFAULT, "no such symbol") == NULL);
    }
    unsigned set = rounding();
    third /= 3;
    errno = changes ? 123 : 99;

    for (int i = 0; i < 3; i++) {
        nanosleep(&(struct timespec){0, 300000}, NULL);
        sched_yield();
        CHECK_IS(errno, changes ? 123 : 99);
        CHECK_IS(rounding(), set);
        CHECK(uselocale((locale_t)0) == (changes ? c_locale : LC_GLOBAL_LOCALE));
    }
    volatile double again = 1.0;
    again /= 3;
    CHECK(again == third);
    CHECK((dlerror() != NULL) == changes);
    if (changes)
        CHECK(dlsym(RTLD_DEFAULT, "no such symbol either") == NULL); /* left behind at the end */
    return NULL;
}

int main(void)
{
    pthread_t threads[20];
    CHECK((c_locale = newlocale(LC_ALL_MASK, "C", NULL)) != NULL);
    for (int round = 0; round < 2; round++) {
        for (intptr_t i = 0; i < 20; i++)
            threads[i] = spawn(keeps, (void *)(i + round));
        for (int i = 0; i < 20; i++)
            join(threads[i]);
        say("round %d: 20 threads kept what they set, none found another's", round);
    }
    return 0;
}
