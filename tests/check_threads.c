/* The pool of threads and replay, used from several threads at once: for ThreadSanitizer, which knows nothing of Python
 * (`make tsan`). Exits with 1 where a result is not that of one thread. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fg.h"
#include "parallel.h"
#include "program.h"

enum { SIZE = 1 << 17, ROUNDS = 40, CALLERS = 3, COSTLY = 100 };

static const fg_layout lay = {.ndim = 1, .flags = FG_DENSE, .size = SIZE, .shape = {SIZE}, .stride = {1}};
static float x[SIZE], expected[SIZE];
static fg_kernel kernel_exp, kernel_add;

static void exp_of(float *y) {
    fg_view v[2] = {{y, &lay, FG_F32}, {x, &lay, FG_F32}};
    fg_call call = {.kernel = kernel_exp, .v = v, .nout = 1, .nin = 1};
    fg_run_elementwise(&call, COSTLY);
}

/* y = x; then exp(x) + y - exp(x) in three calls, into memory of the program's own. */
static int replayed(float *y, float *z) {
    fg_view first[2] = {{y, &lay, FG_F32}, {x, &lay, FG_F32}};
    fg_view second[3] = {{z, &lay, FG_F32}, {y, &lay, FG_F32}, {y, &lay, FG_F32}};
    fg_call calls[2] = {
        {.kernel = kernel_exp, .v = first, .nout = 1, .nin = 1},
        {.kernel = kernel_add, .v = second, .nout = 1, .nin = 2},
    };
    int64_t at = 0;
    return fg_replay(calls, 2, &at);
}

/* One thread of a program: calls that are divided, and a program, over an input that all of them read. */
static void *caller(void *arg) {
    (void)arg;
    float *y = malloc(sizeof x), *z = malloc(sizeof x);
    intptr_t wrong = !y || !z;
    for (int round = 0; round < ROUNDS && !wrong; round++) {
        exp_of(y);
        wrong = memcmp(y, expected, sizeof x) != 0;
        if (replayed(y, z) != FG_OK || memcmp(y, expected, sizeof x) || z[SIZE - 1] != 2 * y[SIZE - 1]) wrong = 1;
    }
    free(y);
    free(z);
    return (void *)wrong;
}

int main(void) {
    fg_choose_set("baseline");
    kernel_exp = fg_find("exp", FG_F32);
    kernel_add = fg_find("add", FG_F32);
    if (!kernel_exp || !kernel_add) return 1;
    for (int i = 0; i < SIZE; i++) x[i] = (float)i / SIZE;
    exp_of(expected);

    pthread_t callers[CALLERS];
    int failed = 0;
    for (int k = 0; k < CALLERS; k++) failed |= pthread_create(&callers[k], NULL, caller, NULL);
    if (failed) return 1;
    for (int round = 0; round < ROUNDS; round++) fg_set_threads(2 + round % 3); /* while they run */
    for (int k = 0; k < CALLERS; k++) {
        void *wrong;
        failed |= pthread_join(callers[k], &wrong) || wrong;
    }
    printf("%d threads share a pool: %s\n", CALLERS, failed ? "FAILED" : "passed");
    return failed;
}
