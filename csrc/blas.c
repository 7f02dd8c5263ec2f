#include "blas.h"

#include <stdio.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };

typedef void (*sgemm32)(int, int, int, int32_t, int32_t, int32_t, float, const float *, int32_t, const float *, int32_t,
                        float, float *, int32_t);
typedef void (*dgemm32)(int, int, int, int32_t, int32_t, int32_t, double, const double *, int32_t, const double *,
                        int32_t, double, double *, int32_t);
typedef void (*sgemm64)(int, int, int, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t,
                        float, float *, int64_t);
typedef void (*dgemm64)(int, int, int, int64_t, int64_t, int64_t, double, const double *, int64_t, const double *,
                        int64_t, double, double *, int64_t);

typedef void (*symbol)(void);

/* Written while the package is imported or a test changes the provider; only read otherwise. */
static struct {
    int wide; /* 64-bit integers */
    symbol sgemm, dgemm, corename, get_threads, set_threads;
} blas;

#ifdef _WIN32
typedef HMODULE library;

static library open_library(const char *path) {
    library found = GetModuleHandleA(path);
    return found || !path ? found : LoadLibraryA(path);
}

static symbol find(library from, const char *name) { return (symbol)GetProcAddress(from, name); }
#else
typedef void *library;

/* The copy that NumPy works with is preferred to a second one: it has its threads already. */
static library open_library(const char *path) {
    if (!path) return dlopen(NULL, RTLD_NOW);
    library found = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    return found ? found : dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static symbol find(library from, const char *name) {
    symbol answer;
    void *address = dlsym(from, name);
    memcpy(&answer, &address, sizeof answer); /* ISO C has no cast from an object pointer to a function */
    return answer;
}
#endif

static symbol find_as(library from, const char *prefix, const char *name, const char *suffix) {
    char whole[128];
    int length = snprintf(whole, sizeof whole, "%s%s%s", prefix, name, suffix);
    return length < 0 || length >= (int)sizeof whole ? NULL : find(from, whole);
}

#define GEMM(T, NAME, SYMBOL, AS32, AS64)                                                                       \
    int NAME(int ta, int tb, int64_t m, int64_t n, int64_t k, const T *a, int64_t lda, const T *b, int64_t ldb, \
             T beta, T *c, int64_t ldc) {                                                                       \
        if (!blas.SYMBOL) return 0;                                                                             \
        int opa = ta ? TRANSPOSED : PLAIN, opb = tb ? TRANSPOSED : PLAIN;                                       \
        if (blas.wide) {                                                                                        \
            ((AS64)blas.SYMBOL)(ROW_MAJOR, opa, opb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);                 \
            return 1;                                                                                           \
        }                                                                                                       \
        if ((m | n | k | lda | ldb | ldc) > INT32_MAX) return 0;                                                \
        ((AS32)blas.SYMBOL)(ROW_MAJOR, opa, opb, (int32_t)m, (int32_t)n, (int32_t)k, 1, a, (int32_t)lda, b,     \
                            (int32_t)ldb, beta, c, (int32_t)ldc);                                               \
        return 1;                                                                                               \
    }

GEMM(float, fg_blas_f32, sgemm, sgemm32, sgemm64)
GEMM(double, fg_blas_f64, dgemm, dgemm32, dgemm64)

/* Products of small integers are exact, so they must agree in every bit. Row lengths differ from the sizes and both
 * flags are tried: a wrong symbol, integer width or convention shows. */
#define SELF_TEST(T, NAME, PRODUCT)                                                                             \
    static int NAME(void) {                                                                                     \
        enum { M = 3, N = 4, K = 5, LD = 7 };                                                                   \
        T a[LD * LD], b[LD * LD], c[LD * LD];                                                                   \
        for (int flags = 0; flags < 4; flags++) {                                                               \
            int ta = flags & 1, tb = flags >> 1;                                                                \
            for (int i = 0; i < LD * LD; i++) a[i] = (T)(i % 11 - 5), b[i] = (T)(i % 7 - 3), c[i] = (T)(i % 5); \
            PRODUCT(ta, tb, M, N, K, a, LD, b, LD, 1, c, LD);                                                   \
            for (int i = 0; i < LD * LD; i++) {                                                                 \
                T want = (T)(i % 5);                                                                            \
                int row = i / LD, col = i % LD;                                                                 \
                if (row < M && col < N)                                                                         \
                    for (int p = 0; p < K; p++)                                                                 \
                        want += a[ta ? p * LD + row : row * LD + p] * b[tb ? col * LD + p : p * LD + col];      \
                if (c[i] != want) return 0;                                                                     \
            }                                                                                                   \
        }                                                                                                       \
        return 1;                                                                                               \
    }

SELF_TEST(float, right_f32, fg_blas_f32)
SELF_TEST(double, right_f64, fg_blas_f64)

int fg_blas_open(const char *path, const char *prefix, const char *suffix) {
    fg_blas_close();
    library from = open_library(path);
    if (!from) return FG_BLAS_ABSENT;
    blas.wide = strstr(suffix, "64") != NULL;
    blas.sgemm = find_as(from, prefix, "cblas_sgemm", suffix);
    blas.dgemm = find_as(from, prefix, "cblas_dgemm", suffix);
    if (!blas.sgemm || !blas.dgemm) {
        fg_blas_close();
        return FG_BLAS_NO_GEMM;
    }
    if (!right_f32() || !right_f64()) {
        fg_blas_close();
        return FG_BLAS_WRONG;
    }
    blas.corename = find_as(from, prefix, "openblas_get_corename", suffix);
    blas.get_threads = find_as(from, prefix, "openblas_get_num_threads", suffix);
    blas.set_threads = find_as(from, prefix, "openblas_set_num_threads", suffix);
    return 0;
}

/* The library itself stays open: others in the process use it. */
void fg_blas_close(void) { memset(&blas, 0, sizeof blas); }

int fg_blas_loaded(void) { return blas.sgemm != NULL; }

const char *fg_blas_core(void) { return blas.corename ? ((const char *(*)(void))blas.corename)() : ""; }

int fg_blas_threads(void) { return blas.get_threads ? ((int (*)(void))blas.get_threads)() : 0; }

int fg_blas_set_threads(int n) {
    if (!blas.set_threads) return 0;
    ((void (*)(int))blas.set_threads)(n);
    return 1;
}
