/* The product of two matrices of type T with any strides; included once for each T by matmul.inc.c, which defines
 *   T         float or double
 *   ITEM      its size
 *   FN(name)  the name with the set's and the type's suffix
 *   BLAS      the entry of blas.h for T
 *
 * BLAS does most products. Ours does those that OpenBLAS does less well (FN(ours) says which), those with strides that
 * BLAS has no flag for, and all of them where there is no BLAS. It follows Goto's scheme in small: a panel of b as wide
 * as two registers is made dense, and a tile of c is accumulated in registers over the panel's depth. `a` is never
 * packed: single elements are broadcast from it, so its strides hardly matter. */

#if FG_SHUFFLE
/* The 4 x 4 block at `from`, transposed: two rounds of interleaving rows r and r + 2. */
static ALWAYS_INLINE void FN(transpose)(const T *from, int64_t ldf, T *to, int64_t ldt) {
    FN(quad) r0 = *(const FN(quad) *)from, r1 = *(const FN(quad) *)(from + ldf);
    FN(quad) r2 = *(const FN(quad) *)(from + 2 * ldf), r3 = *(const FN(quad) *)(from + 3 * ldf);
    FN(quad) s0 = __builtin_shufflevector(r0, r2, 0, 4, 1, 5), s1 = __builtin_shufflevector(r0, r2, 2, 6, 3, 7);
    FN(quad) s2 = __builtin_shufflevector(r1, r3, 0, 4, 1, 5), s3 = __builtin_shufflevector(r1, r3, 2, 6, 3, 7);
    *(FN(quad) *)to = __builtin_shufflevector(s0, s2, 0, 4, 1, 5);
    *(FN(quad) *)(to + ldt) = __builtin_shufflevector(s0, s2, 2, 6, 3, 7);
    *(FN(quad) *)(to + 2 * ldt) = __builtin_shufflevector(s1, s3, 0, 4, 1, 5);
    *(FN(quad) *)(to + 3 * ldt) = __builtin_shufflevector(s1, s3, 2, 6, 3, 7);
}

#if FG_VECTOR == 64
#if ITEM == 4
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#else
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#endif
/* The same for LANES x LANES elements, in rounds of rows r and r + LANES / 2: half the time of 4 x 4 blocks, where one
 * instruction interleaves whole registers. */
static ALWAYS_INLINE void FN(transpose_square)(const T *from, int64_t ldf, T *to, int64_t ldt) {
    enum { SIDE = FG_VECTOR / ITEM };
    FN(vec) x[SIDE], y[SIDE];
    for (int r = 0; r < SIDE; r++) x[r] = *(const FN(vec) *)(from + r * ldf);
    for (int round = 1; round < SIDE; round *= 2) {
        for (int r = 0; r < SIDE / 2; r++) {
            y[2 * r] = __builtin_shufflevector(x[r], x[r + SIDE / 2], LOW);
            y[2 * r + 1] = __builtin_shufflevector(x[r], x[r + SIDE / 2], HIGH);
        }
        for (int r = 0; r < SIDE; r++) x[r] = y[r];
    }
    for (int r = 0; r < SIDE; r++) *(FN(vec) *)(to + r * ldt) = x[r];
}

/* Lane r of the result is the sum of x[r] over its lanes: the rounds of a transposition, each half added to the other. */
static ALWAYS_INLINE void FN(halve)(const int half, FN(vec) * x) {
    for (int r = 0; r < half; r++)
        x[r] = __builtin_shufflevector(x[r], x[r + half], LOW) + __builtin_shufflevector(x[r], x[r + half], HIGH);
}
static ALWAYS_INLINE FN(vec) FN(lane_sums)(FN(vec) * x) {
    if (ITEM == 4) FN(halve)(8, x);
    FN(halve)(4, x);
    FN(halve)(2, x);
    FN(halve)(1, x);
    return x[0];
}
#undef LOW
#undef HIGH
#endif

/* to[p, j] = from[j, p] for p < rows, j < cols */
static void FN(turn)(int64_t rows, int64_t cols, const T *from, int64_t ldf, T *to, int64_t ldt) {
    int64_t j = 0, done = rows - rows % 4;
#if FG_VECTOR == 64
    for (; j + LANES <= cols; j += LANES) {
        int64_t p = 0;
        for (; p + LANES <= rows; p += LANES) FN(transpose_square)(from + p + j * ldf, ldf, to + p * ldt + j, ldt);
        for (; p < done; p += 4)
            for (int64_t q = j; q < j + LANES; q += 4) FN(transpose)(from + p + q * ldf, ldf, to + p * ldt + q, ldt);
    }
#endif
    for (; j + 4 <= cols; j += 4)
        for (int64_t p = 0; p < done; p += 4) FN(transpose)(from + p + j * ldf, ldf, to + p * ldt + j, ldt);
    for (; j < cols; j++)
        for (int64_t p = 0; p < done; p++) to[p * ldt + j] = from[p + j * ldf];
    for (int64_t p = done; p < rows; p++)
        for (j = 0; j < cols; j++) to[p * ldt + j] = from[p + j * ldf];
}
#endif

/* out[p * width + j] = b[p, j], and zeros right of the last column. */
static void FN(pack)(int64_t k, int cols, int width, const T *b, int64_t rsb, int64_t csb, T *out) {
    int64_t done = 0;
#if FG_SHUFFLE
    if (rsb == 1) { /* b lies transposed: twice as fast in blocks */
        FN(turn)(k, cols, b, csb, out, width);
        done = k;
    }
#endif
    for (int64_t p = done; p < k; p++)
        if (csb == 1)
            for (int j = 0; j < cols; j++) out[p * width + j] = b[p * rsb + j];
        else
            for (int j = 0; j < cols; j++) out[p * width + j] = b[p * rsb + j * csb];
    if (cols < width)
        for (int64_t p = 0; p < k; p++)
            for (int j = cols; j < width; j++) out[p * width + j] = 0;
}

/* `with`, as it goes with a part of c. */
static inline const T *FN(part)(const T *with, int64_t row, int64_t column) {
    return with ? with + row + column : NULL;
}

/* `count` full panels of b side by side: all of them for the rows of one tile, then for the next. Panel by panel, each
 * would walk down all rows of c, which may be as many pages: 54 us, this way 44, at 128 x 784 of depth 32. */
static void FN(side_by_side)(int64_t count, int64_t m, int64_t k, const T *a, int64_t rsa, int64_t csa, const T *b,
                             int64_t rsb, int64_t csb, T *c, int64_t ldc, int how, const T *with) {
    enum { WIDTH = 2 * LANES };
    T panels[16384 / sizeof(T)];
    for (int64_t q = 0; q < count; q++)
        FN(pack)(k, WIDTH, WIDTH, b + q * WIDTH * csb, rsb, csb, panels + q * WIDTH * k);
    for (int64_t i = 0; i < m; i += ROWS)
        for (int64_t q = 0; q < count; q++)
            FN(tiles)(2, m - i < ROWS ? m - i : ROWS, k, a + i * rsa, rsa, csa, panels + q * WIDTH * k, WIDTH,
                      c + i * ldc + q * WIDTH, ldc, WIDTH, how, FN(part)(with, how & MASK ? i * ldc : 0, q * WIDTH));
}

static void FN(product)(int64_t m, int64_t n, int64_t k, const T *a, int64_t rsa, int64_t csa, const T *b, int64_t rsb,
                        int64_t csb, T *c, int64_t ldc, int how, const T *with) {
    T panel[16384 / sizeof(T)];
    for (int64_t p = 0; p < k; p += DEPTH, how |= ADD) {
        int64_t depth = k - p < DEPTH ? k - p : DEPTH, room = DEPTH / depth;
        int whole = p + depth == k, now = whole ? how : how & ADD; /* sums end when they are whole */
        const T *last = whole ? with : NULL;
        for (int64_t j = 0; j < n;) {
            int64_t full = (n - j) / (2 * LANES);
            if (m > 64 && room > 1 && full > 1) {
                int64_t count = full < room ? full : room;
                FN(side_by_side)(count, m, depth, a + p * csa, rsa, csa, b + p * rsb + j * csb, rsb, csb, c + j, ldc,
                                 now, FN(part)(last, 0, j));
                j += count * 2 * LANES;
                continue;
            }
            int width = n - j <= LANES ? LANES : 2 * LANES, cols = n - j < width ? (int)(n - j) : width;
            const T *from = b + p * rsb + j * csb;
            int64_t ld = rsb;
            /* In place, b's rows may fall on few cache sets: with many rows of a that costs more than a copy. */
            if (csb != 1 || cols < width || m > 64) {
                FN(pack)(depth, cols, width, from, rsb, csb, panel);
                from = panel;
                ld = width;
            }
            if (width == LANES)
                FN(tiles)(1, m, depth, a + p * csa, rsa, csa, from, ld, c + j, ldc, cols, now, FN(part)(last, 0, j));
            else FN(tiles)(2, m, depth, a + p * csa, rsa, csa, from, ld, c + j, ldc, cols, now, FN(part)(last, 0, j));
            j += cols;
        }
    }
}

#if FG_SHUFFLE
/* c = a b, b lying transposed, as c^T = b^T a^T: a is laid out for the product, and not the larger b. The same sums. */
static void FN(swapped)(int64_t m, int64_t n, int64_t k, const T *a, int64_t rsa, int64_t csa, const T *b, int64_t csb,
                        T *c, int64_t ldc) {
    T part[16384 / sizeof(T)];
    int64_t most = (int64_t)(sizeof part / sizeof(T)) / m;
    for (int64_t j = 0; j < n; j += most) {
        int64_t cols = n - j < most ? n - j : most;
        FN(product)(cols, m, k, b + j * csb, csb, 1, a, csa, rsa, part, m, 0, NULL);
        FN(turn)(m, cols, part, m, c + j, ldc);
    }
}
#endif

/* Products with one row or of depth one: a step on a single sample has no others. They move as much data as they
 * multiply, so each operand is loaded once and nothing is packed. `vecs` is a constant where these are inlined. */

/* c = x b for `vecs` vectors of columns, in enough chains of sums to hide the latency of an addition; 0 where `mask` is not
 * above 0, unless that is NULL. */
static ALWAYS_INLINE void FN(row_panel)(const int vecs, int64_t k, const T *x, int64_t step, const T *b, int64_t ldb,
                                        T *c, const T *mask) {
    const int ways = 8 / vecs;
    FN(vec) sum[8];
    int64_t p = 0;
    for (int q = 0; q < 8; q++) sum[q] = (FN(vec)){0};
    for (; p + ways <= k; p += ways)
        for (int w = 0; w < ways; w++)
            for (int v = 0; v < vecs; v++)
                sum[w * vecs + v] += x[(p + w) * step] * ((const FN(vec) *)(b + (p + w) * ldb))[v];
    for (; p < k; p++)
        for (int v = 0; v < vecs; v++) sum[v] += x[p * step] * ((const FN(vec) *)(b + p * ldb))[v];
    for (int w = ways / 2; w > 0; w /= 2)
        for (int q = 0; q < w * vecs; q++) sum[q] += sum[w * vecs + q];
    if (mask)
        for (int v = 0; v < vecs; v++) sum[v] = CLEARED(sum[v], (FN(vec)){0} >= ((const FN(vec) *)mask)[v]);
    for (int v = 0; v < vecs; v++) ((FN(vec) *)c)[v] = sum[v];
}

/* c[i, :] = a[i] b for `vecs` vectors of columns. */
static ALWAYS_INLINE void FN(outer_panel)(const int vecs, int64_t m, const T *a, int64_t step, const T *b, T *c,
                                          int64_t ldc) {
    FN(vec) row[8];
    for (int v = 0; v < vecs; v++) row[v] = ((const FN(vec) *)b)[v];
    for (int64_t i = 0; i < m; i++, a += step, c += ldc)
        for (int v = 0; v < vecs; v++) ((FN(vec) *)c)[v] = *a * row[v];
}

/* All columns from j = 0 to n >= LANES in panels; the last one may overlap the one before. */
#define PANELS(PANEL, ...)                                                                    \
    for (int64_t j = 0, left = n; left > 0;) {                                                \
        if (left < LANES) j = n - LANES;                                                      \
        int vecs = left >= 8 * LANES ? 8 : left >= 4 * LANES ? 4 : left >= 2 * LANES ? 2 : 1; \
        switch (vecs) {                                                                       \
        case 8: PANEL(8, __VA_ARGS__); break;                                                 \
        case 4: PANEL(4, __VA_ARGS__); break;                                                 \
        case 2: PANEL(2, __VA_ARGS__); break;                                                 \
        default: PANEL(1, __VA_ARGS__);                                                       \
        }                                                                                     \
        j += vecs * LANES;                                                                    \
        left = n - j;                                                                         \
    }

static void FN(row_times)(int64_t n, int64_t k, const T *x, int64_t step, const T *b, int64_t ldb, T *c,
                          const T *mask) {
    PANELS(FN(row_panel), k, x, step, b + j, ldb, c + j, FN(part)(mask, 0, j))
}

/* c (+)= a b where k is 1. */
static void FN(outer)(int64_t m, int64_t n, const T *a, int64_t step, const T *b, T *c, int64_t ldc, int add) {
    if (add) {
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) c[i * ldc + j] += a[i * step] * b[j];
    } else if (n >= LANES) {
        PANELS(FN(outer_panel), m, a, step, b + j, c + j, ldc)
    } else {
        int64_t j = 0;
#if FG_SHUFFLE
        for (; j + 4 <= n; j += 4) {
            FN(quad) row = *(const FN(quad) *)(b + j);
            for (int64_t i = 0; i < m; i++) *(FN(quad) *)(c + i * ldc + j) = a[i * step] * row;
        }
#endif
        for (; j < n; j++)
            for (int64_t i = 0; i < m; i++) c[i * ldc + j] = a[i * step] * b[j];
    }
}
#undef PANELS

#if FG_SHUFFLE
/* The sums of the lanes l, l + 4, l + 8, ... */
static ALWAYS_INLINE FN(quad) FN(fold)(FN(vec) x) {
#if FG_VECTOR / ITEM == 4
    return x;
#elif FG_VECTOR / ITEM == 8
    return __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
#elif FG_VECTOR / ITEM == 16
    return __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7) +
           (__builtin_shufflevector(x, x, 8, 9, 10, 11) + __builtin_shufflevector(x, x, 12, 13, 14, 15));
#else
    return (FN(quad)){x[0], x[1]};
#endif
}

/* In every four lanes of two vectors: the first or the last two of each, by turns or one after the other. */
#if FG_VECTOR / ITEM == 4
#define FIRST_TURNS 0, 4, 1, 5
#define LAST_TURNS 2, 6, 3, 7
#define FIRST_TWO 0, 1, 4, 5
#define LAST_TWO 2, 3, 6, 7
#elif FG_VECTOR / ITEM == 8
#define FIRST_TURNS 0, 8, 1, 9, 4, 12, 5, 13
#define LAST_TURNS 2, 10, 3, 11, 6, 14, 7, 15
#define FIRST_TWO 0, 1, 8, 9, 4, 5, 12, 13
#define LAST_TWO 2, 3, 10, 11, 6, 7, 14, 15
#elif FG_VECTOR / ITEM == 16
#define FIRST_TURNS 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define LAST_TURNS 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define FIRST_TWO 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define LAST_TWO 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#endif

/* The sums of four vectors: as much as possible at their whole width, then the lanes are folded once for all four. */
static ALWAYS_INLINE FN(quad) FN(four_sums)(const FN(vec) * x) {
#ifdef FIRST_TWO
    FN(vec)
    a = __builtin_shufflevector(x[0], x[1], FIRST_TURNS) + __builtin_shufflevector(x[0], x[1], LAST_TURNS);
    FN(vec)
    b = __builtin_shufflevector(x[2], x[3], FIRST_TURNS) + __builtin_shufflevector(x[2], x[3], LAST_TURNS);
    return FN(fold)(__builtin_shufflevector(a, b, FIRST_TWO) + __builtin_shufflevector(a, b, LAST_TWO));
#else
    return (FN(quad)){x[0][0] + x[0][1], x[1][0] + x[1][1], x[2][0] + x[2][1], x[3][0] + x[3][1]};
#endif
}
#undef FIRST_TURNS
#undef LAST_TURNS
#undef FIRST_TWO
#undef LAST_TWO

/* out[i * step] (+)= the dot product of row i with x; rows and x are dense. Four rows at a time, so that their sums over
 * the lanes are one transposition. A general product of one row packs all of b: five times the instructions at 64 x 64. */
static ALWAYS_INLINE void FN(dots_of)(int64_t rows, const int64_t k, const T *a, int64_t lda, const T *x, T *out,
                                      int64_t step, int add) {
    for (int64_t i = 0; i < rows; i += 4) {
        int group = rows - i < 4 ? (int)(rows - i) : 4;
        const T *row[4];
        FN(vec) sum[4] = {{0}, {0}, {0}, {0}};
        FN(quad) total = {0};
        int64_t p = 0;
        for (int r = 0; r < 4; r++) row[r] = a + (i + (r < group ? r : 0)) * lda;
        if (k >= LANES) {
            for (; p + LANES <= k; p += LANES)
                for (int r = 0; r < 4; r++) sum[r] += *(const FN(vec) *)(row[r] + p) * *(const FN(vec) *)(x + p);
            total = FN(four_sums)(sum);
        }
        for (; p + 4 <= k; p += 4) {
            FN(quad) part[4];
            for (int r = 0; r < 4; r++) part[r] = *(const FN(quad) *)(row[r] + p) * *(const FN(quad) *)(x + p);
            FN(quad)
            low = __builtin_shufflevector(part[0], part[1], 0, 4, 1, 5) +
                  __builtin_shufflevector(part[0], part[1], 2, 6, 3, 7);
            FN(quad)
            high = __builtin_shufflevector(part[2], part[3], 0, 4, 1, 5) +
                   __builtin_shufflevector(part[2], part[3], 2, 6, 3, 7);
            total += __builtin_shufflevector(low, high, 0, 1, 4, 5) + __builtin_shufflevector(low, high, 2, 3, 6, 7);
        }
        for (; p < k; p++) total += (FN(quad)){row[0][p], row[1][p], row[2][p], row[3][p]} * x[p];
        if (group == 4 && step == 1 && !add) {
            *(FN(quad) *)(out + i) = total;
            continue;
        }
        for (int r = 0; r < group; r++) out[(i + r) * step] = add ? out[(i + r) * step] + total[r] : total[r];
    }
}

static void FN(dots)(int64_t rows, int64_t k, const T *a, int64_t lda, const T *x, T *out, int64_t step, int add) {
#if FG_VECTOR == 64
    /* As many rows as lanes: a third of the shuffles, which are what limits 64 x 64. */
    for (; rows >= LANES && k % LANES == 0 && step == 1 && !add; rows -= LANES, a += LANES * lda, out += LANES) {
        FN(vec) sum[FG_VECTOR / ITEM];
        for (int r = 0; r < LANES; r++) sum[r] = (FN(vec)){0};
        for (int64_t p = 0; p < k; p += LANES)
            for (int r = 0; r < LANES; r++) sum[r] += *(const FN(vec) *)(a + r * lda + p) * *(const FN(vec) *)(x + p);
        *(FN(vec) *)out = FN(lane_sums)(sum);
    }
#endif
    if (k == 4) FN(dots_of)(rows, 4, a, lda, x, out, step, add); /* without its loops: a third of the time */
    else FN(dots_of)(rows, k, a, lda, x, out, step, add);
}
#endif

/* Whether ours is the faster. Measured against OpenBLAS 0.3.31 on one core (Zen 4, float32 and float64), ratios of its
 * time to ours. AVX-512: b transposed 1.1-2.7 and from about 10^6 products on 1.04-1.3, else 0.5-1.0. AVX2: 1.1-2.9
 * below 64^3. Above the upper limits both are equal or BLAS is ahead, and everywhere where most of a panel's width
 * would be padding. */
static inline int FN(ours)(int64_t m, int64_t n, int64_t k, int transposed) {
    if (m == 1 && !transposed) return 0;
    if (FG_VECTOR < 32 || (n % LANES != 0 && n < 4 * LANES)) return 0;
    double work = (double)m * (double)n * (double)k;
    if (transposed) return work < 3e7 && (m >= (FG_VECTOR == 64 ? 16 : 8) || k <= 16);
    return FG_VECTOR == 64 ? work > 8e5 && work < 3e7 : work < 1e6;
}

/* Whether b, which lies transposed, is better left as it is: its rows are many and those of a few and full vectors. Ratios
 * of times measured (Xeon, AVX-512 and AVX2): 32 x 128 x 784 1.15 and 1.10, 16 x 256 x 256 1.12 and 1.34; at 64 rows 0.97.
 * Few columns, which would pad a vector, are rows then; with AVX2 1.2 to 1.5 times as fast as BLAS, with AVX-512 slower. */
static inline int FN(swaps)(int64_t m, int64_t n, int64_t k) {
    if (m % LANES != 0 || k < LANES || FG_VECTOR < 32) return 0;
    if (m <= 32 && n >= 4 * m) return (double)m * (double)n * (double)k < 3e7;
    return FG_VECTOR == 32 && n < 4 * LANES && n % LANES != 0 && m <= 256;
}

/* A matrix as BLAS sees it: the length of its rows, or of its columns if it lies transposed; 0 if neither is dense.
 * The stride of an axis of size 1 means nothing. */
static inline int64_t FN(leading)(int64_t rows, int64_t cols, int64_t rs, int64_t cs, int *transposed) {
    *transposed = 0;
    if (cols == 1 || cs == 1) {
        if (rows == 1) return cols;
        if (rs >= cols) return rs;
    }
    *transposed = 1;
    if (rows == 1 || rs == 1) {
        if (cols == 1) return rows;
        if (cs >= rows) return cs;
    }
    return 0;
}

/* c[m, n] = a[m, k] b[k, n]; the elements of a row of c are adjacent, and c overlaps neither a nor b. Returns whether c has
 * ended as `how` says: our own tiles do it while they hold a sum in registers, a row times a matrix does MASK. All others do no more than ADD. */
static int FN(gemm_with)(int64_t m, int64_t n, int64_t k, const T *a, int64_t rsa, int64_t csa, const T *b, int64_t rsb,
                         int64_t csb, T *c, int64_t ldc, int how, const T *with) {
    const int add = how & ADD;
    if (m == 0 || n == 0) return 0;
    if (k == 0) {
        if (!add)
            for (int64_t i = 0; i < m; i++) memset(c + i * ldc, 0, (size_t)n * sizeof(T));
        return 0;
    }
    if (k == 1 && (csb == 1 || n == 1)) {
        FN(outer)(m, n, a, rsa, b, c, ldc, add);
        return 0;
    }
    if (n == 1 && ldc == 1 && m > 1 && m * k < 65536) { /* a column is a row of the transposed product */
        FN(gemm_with)(1, m, k, b, 0, rsb, a, csa, rsa, c, m, add, NULL);
        return 0;
    }
    if (m == 1 && csb == 1 && n >= LANES && n * k < 65536 && !add) {
        FN(row_times)(n, k, a, csa, b, rsb, c, how & MASK ? with : NULL);
        return how == MASK;
    }
#if FG_SHUFFLE
    if (m == 1 && (csa == 1 || k == 1) && rsb == 1 && n * k < 65536) {
        FN(dots)(n, k, b, csb, a, c, 1, add);
        return 0;
    }
    if (n == 1 && csa == 1 && rsb == 1 && m * k < 65536) {
        FN(dots)(m, k, a, rsa, b, c, ldc, add);
        return 0;
    }
#endif
#if FG_SHUFFLE
    if (rsb == 1 && csb != 1 && !add && FN(swaps)(m, n, k)) {
        FN(swapped)(m, n, k, a, rsa, csa, b, csb, c, ldc);
        return 0;
    }
#endif
    int ta, tb;
    int64_t lda = FN(leading)(m, k, rsa, csa, &ta), ldb = FN(leading)(k, n, rsb, csb, &tb);
    if (lda && ldb && !FN(ours)(m, n, k, tb) && BLAS(ta, tb, m, n, k, a, lda, b, ldb, (T)add, c, ldc)) return 0;
    FN(product)(m, n, k, a, rsa, csa, b, rsb, csb, c, ldc, how, with);
    return 1;
}

static void FN(gemm)(int64_t m, int64_t n, int64_t k, const T *a, int64_t rsa, int64_t csa, const T *b, int64_t rsb,
                     int64_t csb, T *c, int64_t ldc, int add) {
    FN(gemm_with)(m, n, k, a, rsa, csa, b, rsb, csb, c, ldc, add, NULL);
}

/* The same to the end that `how` says; c is dense. */
static void FN(gemm_to_end)(int64_t m, int64_t n, int64_t k, const T *a, int64_t rsa, int64_t csa, const T *b,
                            int64_t rsb, int64_t csb, T *c, int how, const T *with) {
    int done = FN(gemm_with)(m, n, k, a, rsa, csa, b, rsb, csb, c, n, how, with);
    if (how && !done) FN(activate)(1, m * n, c, 0, how, with);
}

#undef CLEARED
