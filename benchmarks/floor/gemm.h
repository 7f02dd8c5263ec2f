/* A small matrix product for the floor: C[m,n] = A B with A of any strides and B in rows, both small enough for the L2
 * cache. Nothing is packed: the tile reads B's rows as vectors and A's elements as broadcasts. Vectors at the right edge
 * read up to one vector past the end of a row of B, so B's buffer must be that much longer; what they read is not stored. */
#ifndef FLOOR_GEMM_H
#define FLOOR_GEMM_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef float vec_u __attribute__((vector_size(LANES * 4), aligned(4))); /* any address */

#define UNROLL _Pragma("GCC unroll 8")

/* One tile of C: `rows` by `cols` vectors, the last of them `last` elements wide. The sizes are constants where called. */
static inline __attribute__((always_inline)) void tile(int rows, int cols, int last, int64_t k, const float *a,
                                                       int64_t rs, int64_t cs, const float *b, int64_t ldb, float *c,
                                                       int64_t ldc) {
    vec acc[8][4] = {0};
    for (int64_t p = 0; p < k; p++) {
        vec row[4];
        UNROLL for (int j = 0; j < cols; j++) row[j] = *(const vec_u *)(b + p * ldb + j * LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            float x = a[i * rs + p * cs];
            UNROLL for (int j = 0; j < cols; j++) acc[i][j] += x * row[j];
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int j = 0; j < cols - 1; j++) * (vec_u *)(c + i * ldc + j * LANES) = acc[i][j];
        if (last == LANES) *(vec_u *)(c + i * ldc + (cols - 1) * LANES) = acc[i][cols - 1];
        else memcpy(c + i * ldc + (cols - 1) * LANES, &acc[i][cols - 1], (size_t)last * sizeof(float));
    }
}

/* All rows of one panel of `cols` vectors. Eight rows by two vectors and four by four fill the registers of AVX-512. */
#define PANEL(cols, tall)                                                                                            \
    static void panel_##cols(int64_t m, int last, int64_t k, const float *a, int64_t rs, int64_t cs, const float *b, \
                             int64_t ldb, float *c, int64_t ldc) {                                                   \
        int64_t i = 0;                                                                                               \
        for (; i + tall <= m; i += tall) tile(tall, cols, last, k, a + i * rs, rs, cs, b, ldb, c + i * ldc, ldc);    \
        for (; i < m; i++) tile(1, cols, last, k, a + i * rs, rs, cs, b, ldb, c + i * ldc, ldc);                     \
    }
PANEL(1, 8)
PANEL(2, 8)
PANEL(4, 4)

static void small_gemm(int64_t m, int64_t n, int64_t k, const float *a, int64_t rs, int64_t cs, const float *b,
                       int64_t ldb, float *c, int64_t ldc) {
    int64_t j = 0;
    int wide = m < 8; /* few rows: the accumulators that hide the latency come from more columns */
    for (; wide && j + 4 * LANES <= n; j += 4 * LANES) panel_4(m, LANES, k, a, rs, cs, b + j, ldb, c + j, ldc);
    for (; j + 2 * LANES <= n; j += 2 * LANES) panel_2(m, LANES, k, a, rs, cs, b + j, ldb, c + j, ldc);
    for (; j < n; j += LANES) panel_1(m, n - j < LANES ? (int)(n - j) : LANES, k, a, rs, cs, b + j, ldb, c + j, ldc);
}

/* Calls `f(..., n)` with the two widths that the benchmark's nets end in as constants, so that short loops unroll. */
#define BY_WIDTH(f, n, ...) ((n) == 2 ? f(__VA_ARGS__, 2) : (n) == 10 ? f(__VA_ARGS__, 10) : f(__VA_ARGS__, n))

/* y[i] = sum_j w[i,j] g[j] */
static inline __attribute__((always_inline)) void rows_dot(int64_t m, const float *restrict w, const float *restrict g,
                                                           float *restrict y, int64_t n) {
    for (int64_t i = 0; i < m; i++) {
        float sum = 0;
        for (int64_t j = 0; j < n; j++) sum += w[i * n + j] * g[j];
        y[i] = sum;
    }
}

/* c[i,j] = x[i] g[j] */
static inline __attribute__((always_inline)) void outer(int64_t m, const float *restrict x, const float *restrict g,
                                                        float *restrict c, int64_t n) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) c[i * n + j] = x[i] * g[j];
}

/* to[j,i] = from[i,j] */
static void transpose(int64_t rows, int64_t cols, const float *restrict from, float *restrict to) {
    enum { BLOCK = 16 };
    for (int64_t i0 = 0; i0 < rows; i0 += BLOCK)
        for (int64_t j0 = 0; j0 < cols; j0 += BLOCK) {
            int64_t i1 = i0 + BLOCK < rows ? i0 + BLOCK : rows, j1 = j0 + BLOCK < cols ? j0 + BLOCK : cols;
            for (int64_t j = j0; j < j1; j++)
                for (int64_t i = i0; i < i1; i++) to[j * rows + i] = from[i * cols + j];
        }
}

#endif
