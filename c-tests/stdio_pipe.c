/* stdio on pipes: a stream shared by threads keeps its lines whole though its writes block; getline waits; a stream's lock is held across
 * a wait and only its waiters wait.
 * covers: fclose
 * proof: green_threads>=11 parks>=5 hooks.fclose>=3
 */
#include "ctest.h"

enum { WRITERS = 8, LINES = 200 };
static FILE *in, *out;

static void open_pipe(void)
{
    int end[2];
    CHECK_IS(pipe(end), 0);
    in = fdopen(end[0], "r");
    out = fdopen(end[1], "w");
    CHECK(in && out);
}

static void *writer(void *number)
{
    for (int i = 0; i < LINES; i++)
        CHECK(fprintf(out, "writer %d line %d of many that do not fit into the pipe all at once\n", (int)(intptr_t)number, i) > 0);
    return NULL;
}

static void *closer(void *threads)
{
    for (int i = 0; i < WRITERS; i++)
        join(((pthread_t *)threads)[i]);
    CHECK_IS(fclose(out), 0);
    return NULL;
}

static void shared(void)
{
    pthread_t thread[WRITERS];
    int next[WRITERS] = {0}, number, line;
    char *text = NULL;
    size_t size = 0;
    open_pipe();
    for (int i = 0; i < WRITERS; i++)
        thread[i] = spawn(writer, (void *)(intptr_t)i);
    pthread_t last = spawn(closer, thread);
    while (getline(&text, &size, in) > 0) {
        CHECK_IS(sscanf(text, "writer %d line %d of many that do not fit into the pipe all at once\n", &number, &line), 2);
        CHECK(number >= 0 && number < WRITERS && line == next[number]++);
    }
    join(last);
    for (int i = 0; i < WRITERS; i++)
        CHECK_IS(next[i], LINES);
    say("%d writers on one stream: %d whole lines each, in order", WRITERS, LINES);
    free(text);
    fclose(in);
}

static atomic_bool reading, refused;

static void *holds_the_lock(void *unused)
{
    char line[16];
    flockfile(in);
    atomic_store(&reading, true);
    CHECK(fgets(line, sizeof line, in));
    CHECK(strcmp(line, "first\n") == 0);
    funlockfile(in);
    return unused;
}

static void *waits_for_it(void *unused)
{
    char line[16];
    while (!atomic_load(&reading))
        nap(1);
    CHECK_FAILS(ftrylockfile(in) ? (errno = EBUSY, -1) : 0, EBUSY);
    atomic_store(&refused, true);
    CHECK(fgets(line, sizeof line, in));
    CHECK(strcmp(line, "second\n") == 0);
    return unused;
}

static void locked(void)
{
    open_pipe();
    pthread_t holder = spawn(holds_the_lock, NULL), waiter = spawn(waits_for_it, NULL);
    while (!atomic_load(&refused))
        nap(1);
    nap(3);
    fputs("first\nsecond\n", out);
    CHECK_IS(fclose(out), 0);
    join(holder);
    join(waiter);
    CHECK_IS(fgetc(in), EOF);
    say("a blocked reader holds its stream's lock, the next waits for it");
    fclose(in);
}

int main(void)
{
    in_thread(shared);
    in_thread(locked);
    return 0;
}
