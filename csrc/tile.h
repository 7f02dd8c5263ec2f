/* Tiles of a product: a few rows by one or two vectors of columns, summed up in registers, and ended there. Included once
 * for each T by matmul.inc.c, which defines what gemm.h names, and
 *   ELEMENTS(name)  the loop of an elementwise kernel for T */

#if defined(__GNUC__)
typedef T FN(vec) __attribute__((vector_size(FG_VECTOR), aligned(sizeof(T)), may_alias));
typedef T FN(quad) __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));
#else
typedef T FN(vec); /* no vector types: the same code on scalars */
typedef T FN(quad);
#endif

/* x, and 0 in the lanes where the test holds. */
#if defined(__GNUC__)
#define CLEARED(x, test) ((FN(vec))((__typeof__(test))(x) & ~(test)))
#else
#define CLEARED(x, test) ((test) ? 0 : (x))
#endif

#ifndef LANES
#define LANES ((int)(sizeof(FN(vec)) / sizeof(T)))
/* A tile has as many rows of two vectors as leave registers for the operands. A panel of b takes 16 KiB. */
#define ROWS (FG_VECTOR == 64 ? 8 : 6)
#define DEPTH ((int)(16384 / (2 * sizeof(FN(vec)))))
#endif

/* What RELU and MASK do to rows of c that lie in memory. */
static void FN(activate)(int64_t rows, int64_t cols, T *c, int64_t ldc, int how, const T *with) {
    for (int64_t r = 0; r < rows; r++) {
        if (how & RELU) ELEMENTS(relu)(cols, c + r * ldc, c + r * ldc, NULL, NULL, NULL);
        if (how & MASK) ELEMENTS(relu_vjp)(cols, c + r * ldc, c + r * ldc, with + r * ldc, NULL, NULL);
    }
}

/* The end of a tile of which c has only `cols` columns: fours of them, then single ones. */
static ONCE void FN(end_part)(int rows, int cols, const T *sum, T *c, int64_t ldc, int how, const T *with) {
    enum { FOUR = sizeof(FN(quad)) / sizeof(T) };
    const T *bias = how & MASK ? NULL : with;
    for (int r = 0; r < rows; r++, sum += 2 * LANES)
        for (int j = 0; j < cols;) {
            T *out = c + r * ldc + j;
            if (j + FOUR <= cols) {
                FN(quad) x = *(const FN(quad) *)(sum + j);
                if (how & ADD) x += *(const FN(quad) *)out;
                if (bias) x += *(const FN(quad) *)(bias + j);
                *(FN(quad) *)out = x;
                j += FOUR;
            } else {
                T x = sum[j];
                if (how & ADD) x += *out;
                if (bias) x += bias[j];
                *out = x;
                j++;
            }
        }
    if (how > ADD) FN(activate)(rows, cols, c, ldc, how, with);
}

/* c = a b for `rows` rows of a and `vecs` vectors of columns, of which c has only `cols`, ended as `how` says; b must be
 * readable over the whole width. Inlined with constant rows and vecs, so that `sum` lives in registers, and a constant
 * `how` but for ADD. */
static ALWAYS_INLINE void FN(tile)(const int rows, const int vecs, int64_t k, const T *a, int64_t rsa, int64_t csa,
                                   const T *b, int64_t ldb, T *c, int64_t ldc, int cols, int how, const T *with) {
    const FN(vec) zero = {0};
    FN(vec) sum[8][2];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++) sum[r][v] = zero;
    for (int64_t p = 0; p < k; p++) {
        const FN(vec) *row = (const FN(vec) *)(b + p * ldb);
        /* Three pointers and two multiples of the stride: eight multiples would not fit the address registers. */
        const T *column[3] = {a + p * csa, a + p * csa + 3 * rsa, a + p * csa + 6 * rsa};
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vecs; v++) sum[r][v] += column[r / 3][r % 3 * rsa] * row[v];
    }
    if (cols < vecs * LANES) {
        FN(end_part)(rows, cols, (const T *)sum, c, ldc, how, with);
        return;
    }
    for (int r = 0; r < rows; r++) {
        FN(vec) *out = (FN(vec) *)(c + r * ldc);
        for (int v = 0; v < vecs; v++) {
            FN(vec) end = sum[r][v];
            if (how & ADD) end += out[v];
            if (how & MASK) end = CLEARED(end, zero >= ((const FN(vec) *)(with + r * ldc))[v]);
            else if (with) end += ((const FN(vec) *)with)[v];
            if (how & RELU) end = CLEARED(end, end < zero);
            out[v] = end;
        }
    }
}

/* One panel of b against all rows of a, in tiles of nearly equal height: with neither RELU nor MASK, with one of them. Tests
 * of `how` for each vector would cost more than the copies; a narrow panel is the last one, and no more than a few columns. */
#define TILE(R, V, HOW) \
    case R: FN(tile)(R, V, k, a, rsa, csa, b, ldb, c, ldc, cols, HOW | (how & ADD), with); break
#if FG_VECTOR == 64
#define TALL_TILES(V, HOW) \
    TILE(7, V, HOW);       \
    TILE(8, V, HOW)
#else
#define TALL_TILES(V, HOW)
#endif
#define TILES(NAME, V, HOW)                                                                                        \
    static ONCE void FN(NAME)(int64_t m, int64_t k, const T *a, int64_t rsa, int64_t csa, const T *b, int64_t ldb, \
                              T *c, int64_t ldc, int cols, int how, const T *with) {                               \
        for (int64_t tiles = (m + ROWS - 1) / ROWS; tiles > 0; tiles--) {                                          \
            int rows = (int)((m + tiles - 1) / tiles);                                                             \
            switch (rows) {                                                                                        \
                TILE(1, V, HOW);                                                                                   \
                TILE(2, V, HOW);                                                                                   \
                TILE(3, V, HOW);                                                                                   \
                TILE(4, V, HOW);                                                                                   \
                TILE(5, V, HOW);                                                                                   \
                TILE(6, V, HOW);                                                                                   \
                TALL_TILES(V, HOW);                                                                                \
            }                                                                                                      \
            a += rows * rsa;                                                                                       \
            c += rows * ldc;                                                                                       \
            if (HOW == MASK) with += rows * ldc;                                                                   \
            m -= rows;                                                                                             \
        }                                                                                                          \
    }
TILES(wide, 2, 0)
TILES(wide_relu, 2, RELU)
TILES(wide_mask, 2, MASK)
TILES(narrow, 1, 0)
#undef TILES
#undef TALL_TILES
#undef TILE

static ALWAYS_INLINE void FN(tiles)(const int vecs, int64_t m, int64_t k, const T *a, int64_t rsa, int64_t csa,
                                    const T *b, int64_t ldb, T *c, int64_t ldc, int cols, int how, const T *with) {
    if (vecs == 1) {
        FN(narrow)(m, k, a, rsa, csa, b, ldb, c, ldc, cols, how & ADD, how & MASK ? NULL : with);
        if (how > ADD) FN(activate)(m, cols, c, ldc, how, with);
    } else if (how & RELU) FN(wide_relu)(m, k, a, rsa, csa, b, ldb, c, ldc, cols, how, with);
    else if (how & MASK) FN(wide_mask)(m, k, a, rsa, csa, b, ldb, c, ldc, cols, how, with);
    else FN(wide)(m, k, a, rsa, csa, b, ldb, c, ldc, cols, how, with);
}
