/* Elementwise losses with their reduction in one pass; included for each real type T. LOSS(name, value, slope) makes
 * the kernel and its vjp with respect to x. Operands x and t are dense and of one shape; attrs: mode, the reduction;
 * p = f[0]. */

/* Adds up the values tile by tile, as a long sum is. */
FG_ALWAYS_INLINE int FN(loss)(fg_call *call, T (*value)(T, T, T)) {
    const fg_view *v = call->v;
    const T *x = v[1].data, *t = v[2].data, p = (T)call->attrs->f[0];
    T *y = v[0].data, tile[FN(TILE)];
    int64_t size = v[1].lay->size;
    if (call->attrs->mode == FG_NONE) {
        for (int64_t i = 0; i < size; i++) y[i] = value(x[i], t[i], p);
        return FG_OK;
    }
    FN(tree) tree;
    tree.pushed = tree.top = 0;
    do {
        int64_t n = size < FN(TILE) ? size : FN(TILE);
        for (int64_t i = 0; i < n; i++) tile[i] = value(x[i], t[i], p);
        FN(push)(&tree, FN(add).run(tile, n, 0), &FN(add));
        x += n, t += n, size -= n;
    } while (size > 0);
    T total = FN(total)(&tree, &FN(add));
    y[0] = call->attrs->mode == FG_MEAN ? total / (T)v[1].lay->size : total;
    return FG_OK;
}

/* dx; x, t, g */
FG_ALWAYS_INLINE int FN(loss_vjp)(fg_call *call, T (*slope)(T, T, T)) {
    const fg_view *v = call->v;
    const T *x = v[1].data, *t = v[2].data, *g = v[3].data, p = (T)call->attrs->f[0];
    T *dx = v[0].data;
    int64_t size = v[1].lay->size;
    if (call->attrs->mode == FG_NONE) {
        for (int64_t i = 0; i < size; i++) dx[i] = FN(weigh)(g[i], slope(x[i], t[i], p));
        return FG_OK;
    }
    T scale = call->attrs->mode == FG_MEAN ? g[0] / (T)size : g[0];
    for (int64_t i = 0; i < size; i++) dx[i] = FN(weigh)(scale, slope(x[i], t[i], p));
    return FG_OK;
}

#define LOSS(name, value, slope)                                                            \
    FG_ALWAYS_INLINE T FN(name##_value)(T x, T t, T p) { return (void)p, value; }           \
    FG_ALWAYS_INLINE T FN(name##_slope)(T x, T t, T p) { return (void)p, slope; }           \
    static int FN(name##_loss)(fg_call * call) { return FN(loss)(call, FN(name##_value)); } \
    static int FN(name##_loss_vjp)(fg_call * call) { return FN(loss_vjp)(call, FN(name##_slope)); }

FG_ALWAYS_INLINE T FN(square)(T x) { return x * x; }
FG_ALWAYS_INLINE T FN(sign)(T x) { return (T)(x > 0) - (T)(x < 0); }
FG_ALWAYS_INLINE T FN(within)(T x, T p) { return x > p ? p : x < -p ? -p : x; }
FG_ALWAYS_INLINE T FN(least_log)(T x) { return x > -100 || x != x ? x : -100; }

LOSS(mse, FN(square)(x - t), 2 * (x - t))
LOSS(l1, fg_fabs(x - t), FN(sign)(x - t))
/* p = delta */
LOSS(huber, fg_fabs(x - t) <= p ? FN(square)(x - t) / 2 : p * (fg_fabs(x - t) - p / 2), FN(within)(x - t, p))
/* p = beta */
LOSS(smooth_l1, fg_fabs(x - t) < p ? FN(square)(x - t) / 2 / p : fg_fabs(x - t) - p / 2,
     fg_fabs(x - t) < p ? (x - t) / p : FN(sign)(x - t))
/* The logarithms are cut off at -100, and so is the slope's divisor, as PyTorch has it. */
LOSS(binary_cross_entropy, (t - 1) * FN(least_log)(fg_log1p(-x)) - t * FN(least_log)(fg_log(x)),
     (x - t) / ((1 - x) * x > (T)1e-12 ? (1 - x) * x : (T)1e-12))
/* max(x, 0) - x t + log(1 + exp(-|x|)): no exponential of a positive number */
LOSS(logits, (x > 0 ? x : 0) - x * t + fg_log1p_exp_below(x), fg_sigmoid(x) - t)
#undef LOSS

/* A probability outside [0, 1] is refused, NaN included. */
static int FN(binary_cross_entropy)(fg_call *call) {
    const T *x = call->v[1].data;
    int bad = 0;
    for (int64_t i = 0; i < call->v[1].lay->size; i++) bad |= !((x[i] >= 0) & (x[i] <= 1));
    if (!bad) return FN(binary_cross_entropy_loss)(call);
    call->where = 0;
    while (x[call->where] >= 0 && x[call->where] <= 1) call->where++;
    return FG_EDOMAIN;
}
