/* softmax, log_softmax and their vjps along one axis of a dense input; included for each real type T.
 * Where the axis is the last, short rows are handled many at a time: what is one exponential for each element runs
 * over a tile of rows at once, since a row of ten would not fill a vector. */

enum { FN(TILE) = 1024, FN(SHORT) = 16, FN(LONG) = 256 };

/* Rows of length n that make a tile. */
static int64_t FN(tile_rows)(int64_t n) { return n < FN(TILE) ? FN(TILE) / (n > 0 ? n : 1) : 1; }

/* y = x - m, with m the maximum of each row (or less, where there is a NaN). */
static void FN(less_top)(T *restrict y, const T *restrict x, int64_t rows, int64_t n, T *restrict m) {
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        T top = -INFINITY;
        if (n <= FN(SHORT)) {
            for (int64_t k = 0; k < n; k++) {
                FG_SHORT_LOOP;
                top = x[k] > top ? x[k] : top;
            }
            for (int64_t k = 0; k < n; k++) {
                FG_SHORT_LOOP;
                y[k] = x[k] - top;
            }
        } else {
            top = FN(row)(x, n, 0, &FN(shift));
            for (int64_t k = 0; k < n; k++) y[k] = x[k] - top;
        }
        m[r] = top;
    }
}

static void FN(row_totals)(T *restrict s, const T *restrict y, int64_t rows, int64_t n) {
    for (int64_t r = 0; r < rows; r++, y += n) {
        T sum = 0;
        if (n <= FN(SHORT))
            for (int64_t k = 0; k < n; k++) {
                FG_SHORT_LOOP;
                sum += y[k];
            }
        else sum = FN(row)(y, n, 0, &FN(add));
        s[r] = sum;
    }
}

static void FN(times_factors)(T *restrict y, const T *restrict a, int64_t rows, int64_t n) {
    for (int64_t r = 0; r < rows; r++, y += n) {
        T by = a[r];
        if (n <= FN(SHORT))
            for (int64_t k = 0; k < n; k++) {
                FG_SHORT_LOOP;
                y[k] *= by;
            }
        else
            for (int64_t k = 0; k < n; k++) y[k] *= by;
    }
}

/* y = exp(x - m) for one block; returns its sum. While this computes, what lies `ahead` is brought from memory: the maximum of
 * the next row would wait for it. */
static T FN(exp_block)(T *restrict y, const T *restrict x, int64_t n, T m, int64_t ahead) {
    T sum = 0, lane[FN(LANES)] = {0};
    int64_t i = 0;
    for (; i + FN(LANES) <= n; i += FN(LANES)) {
        for (int j = 0; j < FN(LANES); j += 64 / (int)sizeof(T)) FG_PREFETCH(x + i + j + ahead);
        for (int j = 0; j < FN(LANES); j++) {
            T e = fg_exp_negative(x[i + j] - m);
            y[i + j] = e;
            lane[j] += e;
        }
    }
    for (; i < n; i++) {
        y[i] = fg_exp_negative(x[i] - m);
        sum += y[i];
    }
    for (int w = FN(LANES) / 2; w > 0; w /= 2)
        for (int j = 0; j < w; j++) lane[j] += lane[j + w];
    return lane[0] + sum;
}

/* y = exp(x - m) for w columns whose elements are `step` apart, s the sum of each of them. */
static void FN(exp_columns)(T *restrict y, const T *restrict x, int64_t n, int64_t step, int64_t w, T *restrict m,
                            T *restrict s) {
    for (int64_t j = 0; j < w; j++) m[j] = -INFINITY, s[j] = 0;
    for (int64_t k = 0; k < n; k++)
        for (int64_t j = 0; j < w; j++) m[j] = FN(larger)(m[j], x[k * step + j]);
    for (int64_t k = 0; k < n; k++)
        for (int64_t j = 0; j < w; j++) {
            T e = fg_exp_negative(x[k * step + j] - m[j]);
            y[k * step + j] = e;
            s[j] += e;
        }
}

/* y = exp(x - m), s the sum of each row of y. rows <= tile_rows(n). A long row is its own tile, and is read twice only. */
static void FN(exp_rows)(T *y, const T *x, int64_t rows, int64_t n, T *m, T *s) {
#if FG_SHUFFLE
    if (n <= FN(SHORT) &&
        rows >= FN(SHORT)) { /* turned, so that vectors are full: 0.6 of the time for 64 rows of ten */
        T turned[2][FN(TILE)];
        TURN(n, rows, x, n, turned[0], rows);
        FN(exp_columns)(turned[1], turned[0], n, rows, rows, m, s);
        TURN(rows, n, turned[1], rows, y, n);
        return;
    }
#endif
    if (n < FN(LONG)) {
        FN(less_top)(y, x, rows, n, m);
        for (int64_t i = 0; i < rows * n; i++) y[i] = fg_exp_negative(y[i]);
        FN(row_totals)(s, y, rows, n);
        return;
    }
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        FN(tree) tree;
        tree.pushed = tree.top = 0;
        m[r] = FN(row)(x, n, 0, &FN(shift));
        for (int64_t i = 0; i < n; i += FN(BLOCK))
            FN(push)(&tree, FN(exp_block)(y + i, x + i, n - i < FN(BLOCK) ? n - i : FN(BLOCK), m[r], n), &FN(add));
        s[r] = FN(total)(&tree, &FN(add));
    }
}

/* A walk along the axis: tiles of rows where it is the last axis, stripes of columns where it is not. */
typedef struct {
    int64_t outer, n, inner; /* the blocks */
    int64_t at;              /* offset of the tile's first element */
    int64_t first;           /* row-major position of its first row or column among the outputs of a reduction */
    int64_t rows, w;         /* its rows (inner == 1) or its columns */
    int64_t o, j;
} FN(tiles);

static FN(tiles) FN(tiles_along)(const fg_layout *x, int axis) {
    fg_blocks b = fg_around(x, x->ndim ? 1u << axis : 0);
    return (FN(tiles)){b.outer, b.n, b.inner, 0, 0, 0, 0, 0, 0};
}

static int FN(next_tile)(FN(tiles) * t) {
    if (t->inner == 1) {
        int64_t most = FN(tile_rows)(t->n), left = t->outer - t->o;
        t->rows = left < most ? left : most;
        t->first = t->o;
        t->at = t->o * t->n;
        t->o += t->rows;
        return t->rows > 0;
    }
    if (t->j >= t->inner) t->j = 0, t->o++;
    if (t->o >= t->outer) return 0;
    t->w = t->inner - t->j < FN(WIDTH) ? t->inner - t->j : FN(WIDTH);
    t->first = t->o * t->inner + t->j;
    t->at = t->o * t->n * t->inner + t->j;
    t->j += t->w;
    return t->inner > 0;
}

static void FN(exp_tile)(const FN(tiles) * t, T *y, const T *x, T *m, T *s) {
    if (t->inner == 1) FN(exp_rows)(y + t->at, x + t->at, t->rows, t->n, m, s);
    else FN(exp_columns)(y + t->at, x + t->at, t->n, t->inner, t->w, m, s);
}

/* y *= a, one factor for each row or column */
static void FN(scale_tile)(const FN(tiles) * t, T *y, const T *a) {
    y += t->at;
    if (t->inner == 1) FN(times_factors)(y, a, t->rows, t->n);
    else
        for (int64_t k = 0; k < t->n; k++)
            for (int64_t j = 0; j < t->w; j++) y[k * t->inner + j] *= a[j];
}

static int64_t FN(tile_width)(const FN(tiles) * t) { return t->inner == 1 ? t->rows : t->w; }

/* y; x. attrs.axis. */
static int FN(softmax)(fg_call *call) {
    T *y = call->v[0].data, m[FN(TILE)], s[FN(TILE)];
    FN(tiles) t = FN(tiles_along)(call->v[1].lay, call->attrs->axis);
    while (FN(next_tile)(&t)) {
        FN(exp_tile)(&t, y, call->v[1].data, m, s);
        for (int64_t i = 0; i < FN(tile_width)(&t); i++) s[i] = 1 / s[i];
        FN(scale_tile)(&t, y, s);
    }
    return FG_OK;
}

/* y; x. attrs.axis. */
static int FN(log_softmax)(fg_call *call) {
    T *y = call->v[0].data, m[FN(TILE)], s[FN(TILE)];
    const T *x = call->v[1].data;
    FN(tiles) t = FN(tiles_along)(call->v[1].lay, call->attrs->axis);
    while (FN(next_tile)(&t)) {
        T *yt = y + t.at;
        const T *xt = x + t.at;
        FN(exp_tile)(&t, y, x, m, s);
        for (int64_t i = 0; i < FN(tile_width)(&t); i++) s[i] = fg_log(s[i]);
        if (t.inner == 1)
            for (int64_t r = 0; r < t.rows; r++)
                for (int64_t k = 0; k < t.n; k++) yt[r * t.n + k] = xt[r * t.n + k] - m[r] - s[r];
        else
            for (int64_t k = 0; k < t.n; k++)
                for (int64_t j = 0; j < t.w; j++) yt[k * t.inner + j] = xt[k * t.inner + j] - m[j] - s[j];
    }
    return FG_OK;
}

/* a b, and 0 where a is 0 whatever b is: a row to which no gradient came sends none back, NaN or not. */
FG_ALWAYS_INLINE T FN(weigh)(T a, T b) { return a == 0 ? 0 : a * b; }

/* sum of weigh(a[k], b[k]), in lanes as in FN(run) */
static T FN(dot)(const T *restrict a, const T *restrict b, int64_t n) {
    T s = 0, lane[FN(LANES)];
    int64_t i = 0;
    if (n >= FN(LANES)) {
        for (int j = 0; j < FN(LANES); j++) lane[j] = 0;
        for (; i + FN(LANES) <= n; i += FN(LANES))
            for (int j = 0; j < FN(LANES); j++) lane[j] += FN(weigh)(a[i + j], b[i + j]);
        for (int w = FN(LANES) / 2; w > 0; w /= 2)
            for (int j = 0; j < w; j++) lane[j] += lane[j + w];
        s = lane[0];
    }
    for (; i < n; i++) s += FN(weigh)(a[i], b[i]);
    return s;
}

/* dx = y (g - sum(g y)); g, y. attrs.axis. */
static int FN(softmax_vjp)(fg_call *call) {
    T *dx = call->v[0].data, s[FN(WIDTH)];
    const T *g = call->v[1].data, *y = call->v[2].data;
    FN(tiles) t = FN(tiles_along)(call->v[2].lay, call->attrs->axis);
    while (FN(next_tile)(&t)) {
        int64_t n = t.n;
        if (t.inner == 1) {
            for (int64_t r = 0, at = t.at; r < t.rows; r++, at += n) {
                T sum = FN(dot)(g + at, y + at, n);
                for (int64_t k = 0; k < n; k++) dx[at + k] = FN(weigh)(g[at + k] - sum, y[at + k]);
            }
            continue;
        }
        for (int64_t j = 0; j < t.w; j++) s[j] = 0;
        for (int64_t k = 0, at = t.at; k < n; k++, at += t.inner)
            for (int64_t j = 0; j < t.w; j++) s[j] += FN(weigh)(g[at + j], y[at + j]);
        for (int64_t k = 0, at = t.at; k < n; k++, at += t.inner)
            for (int64_t j = 0; j < t.w; j++) dx[at + j] = FN(weigh)(g[at + j] - s[j], y[at + j]);
    }
    return FG_OK;
}

/* dx = g - exp(y) sum(g); g, y. attrs.axis. */
static int FN(log_softmax_vjp)(fg_call *call) {
    T *dx = call->v[0].data, s[FN(WIDTH)];
    const T *g = call->v[1].data, *y = call->v[2].data;
    FN(tiles) t = FN(tiles_along)(call->v[2].lay, call->attrs->axis);
    while (FN(next_tile)(&t)) {
        int64_t n = t.n;
        if (t.inner == 1) {
            for (int64_t i = t.at; i < t.at + t.rows * n; i++) dx[i] = fg_exp(y[i]);
            for (int64_t r = 0, at = t.at; r < t.rows; r++, at += n) {
                T sum = FN(row)(g + at, n, 0, &FN(add));
                for (int64_t k = 0; k < n; k++) dx[at + k] = g[at + k] - FN(weigh)(sum, dx[at + k]);
            }
            continue;
        }
        for (int64_t j = 0; j < t.w; j++) s[j] = 0;
        for (int64_t k = 0, at = t.at; k < n; k++, at += t.inner)
            for (int64_t j = 0; j < t.w; j++) s[j] += g[at + j];
        for (int64_t k = 0, at = t.at; k < n; k++, at += t.inner)
            for (int64_t j = 0; j < t.w; j++) dx[at + j] = g[at + j] - FN(weigh)(s[j], fg_exp(y[at + j]));
    }
    return FG_OK;
}
