/* Reductions of real numbers to numbers of the same type (A = T).
 *
 * Accuracy: a block is added in LANES chains of BLOCK / LANES steps, so the error of a sum of n is below
 * (BLOCK / LANES + log2 n) eps * sum |x|: the order of pairwise summation at the speed of a plain loop. A compiler may
 * not reorder a floating sum; written in lanes it need not. */

enum { FN(LANES) = 32 };

/* The lower half of the lanes takes the upper. Of a known length, so that it happens in registers: a short row's time is
 * half of this. */
#define HALVE(w) \
    for (int j = 0; j < w; j++) lane[j] = op(lane[j], lane[j + w])

/* The last elements go through four scalar chains: storing them into lanes would stall the vector load that follows. */
FG_ALWAYS_INLINE A FN(run)(const T *x, int64_t n, A c, A init, A (*map)(T, A), A (*op)(A, A)) {
    A s0 = init, s1 = init, s2 = init, s3 = init;
    int64_t i = 0;
    if (n >= FN(LANES)) {
        A lane[FN(LANES)];
        for (int j = 0; j < FN(LANES); j++) lane[j] = init;
        for (; i + FN(LANES) <= n; i += FN(LANES))
            for (int j = 0; j < FN(LANES); j++) lane[j] = op(lane[j], map(x[i + j], c));
        HALVE(16);
        HALVE(8);
        HALVE(4);
        HALVE(2);
        HALVE(1);
        s0 = lane[0];
    }
    for (; i + 4 <= n; i += 4) {
        s0 = op(s0, map(x[i], c));
        s1 = op(s1, map(x[i + 1], c));
        s2 = op(s2, map(x[i + 2], c));
        s3 = op(s3, map(x[i + 3], c));
    }
    for (; i < n; i++) s0 = op(s0, map(x[i], c));
    return op(op(s0, s1), op(s2, s3));
}

#undef HALVE

MAP(self, x)
MAP(self_or_0, x != x ? 0 : x)
MAP(magnitude, fg_fabs(x))
MAP(nonzero, x != 0 ? (T)1 : (T)0)
MAP(squared, x *x)
MAP(deviation2, (x - c) * (x - c))
MAP(power, fg_pow(fg_fabs(x), c))
MAP(shifted_exp, fg_exp(x - c))

OP(plus, a + b)
OP(times, a *b)
/* NaN wins from either side: as `b` through the comparison, as `a` through the test. */
OP(greater, a != a ? a : a > b ? a : b)
OP(less, a != a ? a : a < b ? a : b)
/* NaN may get lost: for the shift of an exponential, which brings it back. */
OP(larger, a > b ? a : b)
OP(smaller, a < b ? a : b)

FIN(keep, s)
FIN(divided, s / p)
FIN(root_divided, fg_sqrt(s / p))
FIN(root, fg_sqrt(s))
FIN(pth_root, fg_pow(s, 1 / p))
/* The shift of logsumexp: an infinite maximum would give inf - inf, and 0 gives the right limit. */
FIN(finite_or_0, s - s == 0 || s != s ? s : 0)
FIN(log_shifted, fg_log(s) + c)

KIND(add, 0, self, plus, keep)
/* Extremes are found without a thought of NaN first: a comparison less for each element. The sum of a block, found in the
 * same pass, tells whether there is a NaN in it (or infinities of both signs), which is then looked for. */
#define HALVE(w, quick)                            \
    for (int j = 0; j < w; j++) {                  \
        lane[j] = FN(quick)(lane[j], lane[j + w]); \
        sums[j] += sums[j + w];                    \
    }                                              \
    (void)0
#define EXTREME(name, init, quick, exact)                                                               \
    static A FN(name##_run)(const T *x, int64_t n, A c) {                                               \
        A best = init, sum = 0;                                                                         \
        int64_t i = 0;                                                                                  \
        if (n >= FN(LANES)) {                                                                           \
            A lane[FN(LANES)], sums[FN(LANES)];                                                         \
            for (int j = 0; j < FN(LANES); j++) lane[j] = init, sums[j] = 0;                            \
            for (; i + FN(LANES) <= n; i += FN(LANES))                                                  \
                for (int j = 0; j < FN(LANES); j++) {                                                   \
                    lane[j] = FN(quick)(lane[j], x[i + j]);                                             \
                    sums[j] += x[i + j];                                                                \
                }                                                                                       \
            HALVE(16, quick);                                                                           \
            HALVE(8, quick);                                                                            \
            HALVE(4, quick);                                                                            \
            HALVE(2, quick);                                                                            \
            HALVE(1, quick);                                                                            \
            best = lane[0], sum = sums[0];                                                              \
        }                                                                                               \
        for (; i < n; i++) best = FN(quick)(best, x[i]), sum += x[i];                                   \
        return sum == sum ? best : FN(run)(x, n, c, init, FN(self), FN(exact));                         \
    }                                                                                                   \
    static void FN(name##_rows)(A * s, const T *x, int64_t rows, int64_t step, int64_t w, const A *c) { \
        A sum[FN(WIDTH)] = {0};                                                                         \
        int nan = 0;                                                                                    \
        FN(rows)(sum, x, rows, step, w, c, FN(self), FN(plus));                                         \
        for (int64_t j = 0; j < w; j++) nan |= (sum[j] != sum[j]) | (s[j] != s[j]);                     \
        if (nan) FN(rows)(s, x, rows, step, w, c, FN(self), FN(exact));                                 \
        else FN(rows)(s, x, rows, step, w, c, FN(self), FN(quick));                                     \
    }                                                                                                   \
    static const FN(kind) FN(name) = {init, FN(name##_run), FN(name##_rows), FN(exact##_merge), FN(keep_fin)};
EXTREME(greatest, -INFINITY, larger, greater)
EXTREME(least, INFINITY, smaller, less)
#undef EXTREME
#undef HALVE

REDUCTION(sum, add)
REDUCTION(amax, greatest)
REDUCTION(amin, least)

KIND(add_numbers, 0, self_or_0, plus, keep)
REDUCTION(nansum, add_numbers)

KIND(multiply, 1, self, times, keep)
REDUCTION(prod, multiply)

/* How many elements there are behind one output. */
static T FN(count)(const fg_layout *lay, uint32_t axes) {
    int64_t n = 1;
    for (int k = 0; k < lay->ndim; k++)
        if (axes >> k & 1) n *= lay->shape[k];
    return (T)n;
}

KIND(average, 0, self, plus, divided)

static int FN(mean)(fg_call *call) {
    const fg_view *v = call->v;
    uint32_t axes = call->attrs->axes;
    return FN(reduce)(&v[1], axes, v[0].data, NULL, FN(count)(v[1].lay, axes), &FN(average));
}

KIND(deviations, 0, deviation2, plus, divided)
KIND(deviations_root, 0, deviation2, plus, root_divided)

/* Two passes: the mean, then the squares around it. f[0] = correction. Outputs: the variance (or its root), and the
 * mean where there is a second output. */
static int FN(spread)(fg_call *call, const FN(kind) * kind) {
    const fg_view *v = call->v, *x = &v[call->nout];
    uint32_t axes = call->attrs->axes;
    T n = FN(count)(x->lay, axes), divisor = n - (T)call->attrs->f[0], *mean = v[call->nout - 1].data;
    FN(reduce)(x, axes, mean, NULL, n, &FN(average));
    return FN(reduce)(x, axes, v[0].data, mean, divisor > 0 ? divisor : 0, kind);
}

static int FN(var)(fg_call *call) { return FN(spread)(call, &FN(deviations)); }
static int FN(std)(fg_call *call) { return FN(spread)(call, &FN(deviations_root)); }

KIND(euclidean, 0, squared, plus, root)
KIND(taxicab, 0, magnitude, plus, keep)
KIND(greatest_magnitude, 0, magnitude, greater, keep)
KIND(least_magnitude, INFINITY, magnitude, less, keep)
KIND(nonzeros, 0, nonzero, plus, keep)
KIND(powers, 0, power, plus, pth_root)

static const FN(kind) * FN(norm_kind)(double p) {
    if (p == 2) return &FN(euclidean);
    if (p == 1) return &FN(taxicab);
    if (p == INFINITY) return &FN(greatest_magnitude);
    if (p == -INFINITY) return &FN(least_magnitude);
    return p == 0 ? &FN(nonzeros) : &FN(powers);
}

/* f[0] = p. */
static int FN(norm)(fg_call *call) {
    const fg_view *v = call->v;
    double p = call->attrs->f[0];
    return FN(reduce)(&v[1], call->attrs->axes, v[0].data, NULL, (T)p, FN(norm_kind)(p));
}

KIND(shift, -INFINITY, self, larger, finite_or_0)
KIND(exponentials, 0, shifted_exp, plus, log_shifted)

static int FN(logsumexp)(fg_call *call) {
    const fg_view *x = &call->v[1];
    uint32_t axes = call->attrs->axes;
    T *y = call->v[0].data;
    FN(reduce)(x, axes, y, NULL, 0, &FN(shift));
    return FN(reduce)(x, axes, y, y, 0, &FN(exponentials));
}
