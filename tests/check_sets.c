/* Runs every float elementwise kernel in the processor's best set and in the baseline, and compares: the way to test a
 * set on a processor that this machine only emulates, where no Python is. Exits with 1 and names what differs. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fg.h"

enum { SIZE = 1000, ULPS = 8 };

static const struct {
    const char *name;
    int inputs;
} kernels[] = {
#define UNARY(name, params, value) {#name, 1},
#define BINARY(name, params, value) {#name, 2},
#define TERNARY(name, params, value) {#name, 3},
#define POWER(name, inputs, ...) {#name, inputs},
#define WITHIN(name, ...) {#name, 1},
#define ARITHMETIC(name, value) {#name, 2},
#define TEST(name, inputs, value)
#define SELECT(name, value)
#include "elementwise.h"
};

static const fg_attrs attrs = {.f = {0.25, 0.75, 0.5}};

static int run(fg_kernel kernel, int dtype, int inputs, const fg_layout *lay, void *y, void *x[3]) {
    fg_view v[4] = {{y, lay, dtype}, {x[0], lay, dtype}, {x[1], lay, dtype}, {x[2], lay, dtype}};
    fg_call call = {.kernel = kernel, .attrs = &attrs, .v = v, .nout = 1, .nin = inputs};
    return kernel(&call);
}

/* The largest difference between two sets' results, in units of the last place of the larger of 1 and the result;
 * infinite where one of them is a NaN. */
static double difference(int k, int dtype, int64_t n, fg_kernel best, fg_kernel base) {
    static union {
        float f32[SIZE];
        double f64[SIZE];
    } x[3], y[2];
    for (int j = 0; j < 3; j++)
        for (int i = 0; i < n; i++) {
            double value = 0.01 + 0.98 * fmod((i + 1) * (0.618034 + 0.1 * j), 1); /* inside every op's domain */
            if (dtype == FG_F32) x[j].f32[i] = (float)value;
            else x[j].f64[i] = value;
        }
    const fg_layout lay = {.ndim = 1, .flags = FG_DENSE, .size = n, .shape = {n}, .stride = {1}};
    void *inputs[3] = {&x[0], &x[1], &x[2]};
    if (run(best, dtype, kernels[k].inputs, &lay, &y[0], inputs) != FG_OK) return INFINITY;
    if (run(base, dtype, kernels[k].inputs, &lay, &y[1], inputs) != FG_OK) return INFINITY;
    double worst = 0;
    for (int i = 0; i < n; i++) {
        double a = dtype == FG_F32 ? y[0].f32[i] : y[0].f64[i];
        double b = dtype == FG_F32 ? y[1].f32[i] : y[1].f64[i];
        double ulps = fabs(a - b) / (dtype == FG_F32 ? FLT_EPSILON : DBL_EPSILON) / fmax(1, fabs(b));
        worst = isnan(ulps) ? INFINITY : fmax(worst, ulps);
    }
    return worst;
}

int main(void) {
    static const int64_t sizes[] = {1, 3, 4, 17, SIZE};
    int passed = 0, failed = 0;
    const char *set = fg_choose_set(NULL);
    for (int k = 0; k < (int)(sizeof kernels / sizeof *kernels); k++)
        for (int dtype = FG_F32; dtype <= FG_F64; dtype++) {
            fg_choose_set(set);
            fg_kernel best = fg_find(kernels[k].name, dtype);
            fg_choose_set("baseline");
            fg_kernel base = fg_find(kernels[k].name, dtype);
            double worst = 0;
            for (int s = 0; s < (int)(sizeof sizes / sizeof *sizes); s++)
                worst = fmax(worst, difference(k, dtype, sizes[s], best, base));
            if (worst <= ULPS) {
                passed++;
                continue;
            }
            failed++;
            printf("%s, %s: %g ulp from the baseline\n", kernels[k].name, dtype == FG_F32 ? "float32" : "float64",
                   worst);
        }
    printf("%s against baseline: %d passed, %d failed\n", set, passed, failed);
    return failed != 0;
}
