/* The largest or smallest element along adjacent axes of a dense input, and where it is: the first among equals, and
 * NaN before everything, as PyTorch has it. The includer defines what reduce_type.h asks
 * for (A = T), IS_NAN(x), and the kinds FN(greatest) and FN(least). */

/* `a` is better than the best so far. A NaN is better than any number, not than another NaN. */
FG_ALWAYS_INLINE int FN(above)(T a, T best) { return (a > best) | (IS_NAN(a) & !IS_NAN(best)); }
FG_ALWAYS_INLINE int FN(below)(T a, T best) { return (a < best) | (IS_NAN(a) & !IS_NAN(best)); }

/* Where the first of n elements is that equals `value`, which is one of them. */
static int64_t FN(find)(const T *x, int64_t n, T value) {
    enum { BLOCK = 64 };
    int64_t k = 0;
    if (IS_NAN(value)) {
        while (!IS_NAN(x[k])) k++;
        return k;
    }
    for (; k + BLOCK < n; k += BLOCK) {
        int found = 0;
        for (int j = 0; j < BLOCK; j++) found |= x[k + j] == value;
        if (found) break;
    }
    while (x[k] != value) k++;
    return k;
}

/* `value` and `index` have one element for each output; either may be NULL. */
FG_ALWAYS_INLINE int FN(extreme)(const fg_view *v, uint32_t axes, T *value, int64_t *index, const FN(kind) * kind,
                                 int (*better)(T, T)) {
    const T *x = v->data;
    fg_blocks b = fg_around(v->lay, axes);
    if (b.inner == 1) {
        for (int64_t o = 0; o < b.outer; o++, x += b.n) {
            T best = FN(row)(x, b.n, 0, kind);
            if (value) value[o] = best;
            if (index) index[o] = FN(find)(x, b.n, best);
        }
        return FG_OK;
    }
    for (int64_t o = 0; o < b.outer; o++)
        for (int64_t j = 0; j < b.inner; j += FN(WIDTH)) {
            T best[FN(WIDTH)];
            int64_t where[FN(WIDTH)], w = b.inner - j < FN(WIDTH) ? b.inner - j : FN(WIDTH);
            const T *row = x + o * b.n * b.inner + j;
            for (int64_t i = 0; i < w; i++) best[i] = row[i], where[i] = 0;
            for (int64_t k = 1; k < b.n; k++) {
                row += b.inner;
                for (int64_t i = 0; i < w; i++) {
                    int take = better(row[i], best[i]);
                    best[i] = take ? row[i] : best[i];
                    where[i] = take ? k : where[i];
                }
            }
            for (int64_t i = 0; i < w; i++) {
                if (value) value[o * b.inner + j + i] = best[i];
                if (index) index[o * b.inner + j + i] = where[i];
            }
        }
    return FG_OK;
}

static int FN(max_dim)(fg_call *call) {
    const fg_view *v = call->v;
    return FN(extreme)(&v[2], call->attrs->axes, v[0].data, v[1].data, &FN(greatest), FN(above));
}

static int FN(min_dim)(fg_call *call) {
    const fg_view *v = call->v;
    return FN(extreme)(&v[2], call->attrs->axes, v[0].data, v[1].data, &FN(least), FN(below));
}

static int FN(argmax)(fg_call *call) {
    const fg_view *v = call->v;
    return FN(extreme)(&v[1], call->attrs->axes, NULL, v[0].data, &FN(greatest), FN(above));
}

static int FN(argmin)(fg_call *call) {
    const fg_view *v = call->v;
    return FN(extreme)(&v[1], call->attrs->axes, NULL, v[0].data, &FN(least), FN(below));
}
