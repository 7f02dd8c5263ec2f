/* Losses against integer labels: cross_entropy and nll_loss with class weights, an ignored label and label smoothing;
 * included for each real type T. attrs: axis of the classes; mode, the reduction; i[0], the label to ignore; f[0], the
 * label smoothing. The labels are int64, dense, in the shape of the scores without the class axis; the class weights may be missing (their data is NULL).
 *
 * With p = softmax(x), label c, weights w (1 without) and smoothing e over C classes the loss of one sample is
 *   (1 - e) w_c (-log p_c) + e / C sum_k w_k (-log p_k)
 * and the mean divides by the sum of w_c over the samples that are not ignored, as PyTorch has it. The probabilities
 * are the second output: the gradient is then one pass without an exponential. */

/* What the labels of one call are, and their checks. */
typedef struct {
    const int64_t *labels;
    const T *weight; /* or NULL */
    int64_t count, classes, ignored;
} FN(targets);

/* From two inputs, the labels and the class weights. */
static FN(targets) FN(targets_of)(const fg_call *call, const fg_view *v, int64_t classes) {
    return (FN(targets)){v[0].data, v[1].data, v[0].lay->size, classes, call->attrs->i[0]};
}

/* The divisor of the gradient and of the loss: 1, but for the mean the total weight of the labels that count. */
static int FN(divisor_of)(fg_call *call, const FN(targets) * t, T *divisor) {
    double total = 0;
    int64_t counted = 0, wrong = 0;
    for (int64_t i = 0; i < t->count; i++) { /* without a branch, so in vectors */
        int64_t c = t->labels[i];
        counted += c != t->ignored;
        wrong += (c != t->ignored) & ((uint64_t)c >= (uint64_t)t->classes);
    }
    for (int64_t i = 0; wrong && i < t->count; i++) {
        int64_t c = t->labels[i];
        if (c == t->ignored || (uint64_t)c < (uint64_t)t->classes) continue;
        call->where = i;
        call->value = c;
        return FG_EINDEX;
    }
    if (t->weight)
        for (int64_t i = 0; i < t->count; i++)
            if (t->labels[i] != t->ignored) total += t->weight[t->labels[i]];
    if (!t->weight) total = (double)counted;
    *divisor = call->attrs->mode == FG_MEAN ? (T)total : 1;
    return FG_OK;
}

static T FN(total_weight)(const FN(targets) * t) {
    return t->weight ? FN(row)(t->weight, t->classes, 0, &FN(add)) : (T)t->classes;
}

/* loss, p; x, labels, weight */
static int FN(cross_entropy)(fg_call *call) {
    const fg_view *v = call->v;
    T *loss = v[0].data, *p = v[1].data, m[FN(TILE)], s[FN(TILE)], log_s[FN(TILE)], divisor;
    const T *x = v[2].data, e = (T)call->attrs->f[0];
    FN(tiles) t = FN(tiles_along)(v[2].lay, call->attrs->axis);
    FN(targets) to = FN(targets_of)(call, &v[3], t.n);
    int code = FN(divisor_of)(call, &to, &divisor);
    if (code) return code;
    T share = e / (T)t.n, all = e ? FN(total_weight)(&to) : 0;
    double sum = 0;
    while (FN(next_tile)(&t)) {
        FN(exp_tile)(&t, p, x, m, s);
        int64_t width = FN(tile_width)(&t);
        for (int64_t i = 0; i < width; i++) {
            log_s[i] = fg_log(s[i]);
            s[i] = 1 / s[i];
        }
        FN(scale_tile)(&t, p, s);
        for (int64_t i = 0; i < width; i++) {
            const T *xi = x + t.at + (t.inner == 1 ? i * t.n : i);
            int64_t c = to.labels[t.first + i];
            T one = 0;
            if (c != to.ignored) {
                one = (log_s[i] - (xi[c * t.inner] - m[i])) * (to.weight ? to.weight[c] : 1);
                if (e) {
                    T others = 0;
                    for (int64_t k = 0; k < t.n; k++)
                        others += (xi[k * t.inner] - m[i]) * (to.weight ? to.weight[k] : 1);
                    one = (1 - e) * one + share * (all * log_s[i] - others);
                }
            }
            if (call->attrs->mode == FG_NONE) loss[t.first + i] = one;
            sum += one;
        }
    }
    if (call->attrs->mode != FG_NONE) loss[0] = (T)(sum / divisor);
    return FG_OK;
}

/* How much the term of the label itself, and the smoothed term, of sample i count. */
static void FN(shares)(const fg_call *call, const FN(targets) * to, int64_t i, T g, T *hit, T *miss) {
    T e = (T)call->attrs->f[0];
    int64_t c = to->labels[i];
    *hit = *miss = 0;
    if (c == to->ignored) return;
    *hit = g * (1 - e) * (to->weight ? to->weight[c] : 1);
    *miss = g * (e / (T)to->classes);
}

/* Less the targets: the second part of the gradient of sample i, at y + at. */
static void FN(less_targets)(const FN(targets) * to, int64_t i, T hit, T miss, T *y, int64_t step) {
    int64_t c = to->labels[i];
    if (miss != 0)
        for (int64_t k = 0; k < to->classes; k++) y[k * step] -= to->weight ? miss * to->weight[k] : miss;
    if (c != to->ignored) y[c * step] -= hit;
}

/* y = p times what the probabilities of a sample count in its gradient, and less the targets if `targets`. y may be p.
 * v: g, labels, weight */
FG_ALWAYS_INLINE int FN(cross_entropy_grad)(fg_call *call, const T *p, const fg_view *v, int targets) {
    T *y = call->v[0].data, divisor;
    const T *g = v[0].data;
    int each = call->attrs->mode == FG_NONE;
    fg_blocks b = fg_around(call->v[0].lay, 1u << call->attrs->axis);
    FN(targets) to = FN(targets_of)(call, &v[1], b.n);
    int code = FN(divisor_of)(call, &to, &divisor);
    if (code) return code;
    T all = call->attrs->f[0] != 0 ? FN(total_weight)(&to) : 0, one = each ? 0 : g[0] / divisor, hit, miss;
    if (b.inner == 1 && !each && !to.weight && call->attrs->f[0] == 0) { /* all count the same, but those ignored */
        FG_IVDEP
        for (int64_t k = 0; k < b.outer * b.n; k++) y[k] = FN(weigh)(one, p[k]);
        for (int64_t i = 0; i < b.outer; i++) {
            int64_t c = to.labels[i];
            if (c == to.ignored) memset(y + i * b.n, 0, (size_t)b.n * sizeof(T));
            else if (targets) y[i * b.n + c] -= one;
        }
        return FG_OK;
    }
    if (b.inner == 1) { /* rows that count the same are one loop: a row of ten would not fill a vector */
        for (int64_t first = 0, end; first < b.outer; first = end) {
            FN(shares)(call, &to, first, each ? g[first] / divisor : one, &hit, &miss);
            T scale = hit + miss * all;
            for (end = first + 1; end < b.outer && (end - first) * b.n < FN(TILE); end++) {
                FN(shares)(call, &to, end, each ? g[end] / divisor : one, &hit, &miss);
                if (hit + miss * all != scale) break;
            }
            FG_IVDEP
            for (int64_t k = first * b.n; k < end * b.n; k++) y[k] = FN(weigh)(scale, p[k]);
            for (int64_t i = first; targets && i < end; i++) {
                FN(shares)(call, &to, i, each ? g[i] / divisor : one, &hit, &miss);
                FN(less_targets)(&to, i, hit, miss, y + i * b.n, 1);
            }
        }
        return FG_OK;
    }
    for (int64_t o = 0; o < b.outer; o++)
        for (int64_t j = 0; j < b.inner; j++) {
            int64_t i = o * b.inner + j, at = o * b.n * b.inner + j;
            FN(shares)(call, &to, i, each ? g[i] / divisor : one, &hit, &miss);
            T scale = hit + miss * all;
            FG_IVDEP
            for (int64_t k = 0; k < b.n; k++) y[at + k * b.inner] = FN(weigh)(scale, p[at + k * b.inner]);
            if (targets) FN(less_targets)(&to, i, hit, miss, y + at, b.inner);
        }
    return FG_OK;
}

/* dx; x, g, p, labels, weight. x is there for the rule alone: p has no history. */
static int FN(cross_entropy_vjp)(fg_call *call) {
    const fg_view *v = call->v;
    const fg_view operands[3] = {v[2], v[4], v[5]};
    return FN(cross_entropy_grad)(call, v[3].data, operands, 1);
}

/* The part of cross_entropy_vjp that is linear in p: y; p, g, labels, weight. */
static int FN(cross_entropy_scale)(fg_call *call) {
    return FN(cross_entropy_grad)(call, call->v[1].data, &call->v[2], 0);
}

/* loss; x (log-probabilities), labels, weight */
static int FN(nll_loss)(fg_call *call) {
    const fg_view *v = call->v;
    T *loss = v[0].data, divisor;
    const T *x = v[1].data;
    fg_blocks b = fg_around(v[1].lay, 1u << call->attrs->axis);
    FN(targets) to = FN(targets_of)(call, &v[2], b.n);
    int code = FN(divisor_of)(call, &to, &divisor);
    if (code) return code;
    double sum = 0;
    for (int64_t o = 0; o < b.outer; o++)
        for (int64_t j = 0; j < b.inner; j++) {
            int64_t i = o * b.inner + j, c = to.labels[i];
            T one = 0;
            if (c != to.ignored) one = -x[(o * b.n + c) * b.inner + j] * (to.weight ? to.weight[c] : 1);
            if (call->attrs->mode == FG_NONE) loss[i] = one;
            sum += one;
        }
    if (call->attrs->mode != FG_NONE) loss[0] = (T)(sum / divisor);
    return FG_OK;
}

/* dx; g, labels, weight */
static int FN(nll_loss_vjp)(fg_call *call) {
    const fg_view *v = call->v;
    T *dx = v[0].data, divisor;
    const T *g = v[1].data;
    int each = call->attrs->mode == FG_NONE;
    fg_blocks b = fg_around(v[0].lay, 1u << call->attrs->axis);
    FN(targets) to = FN(targets_of)(call, &v[2], b.n);
    int code = FN(divisor_of)(call, &to, &divisor);
    if (code) return code;
    memset(dx, 0, (size_t)v[0].lay->size * sizeof(T));
    for (int64_t o = 0; o < b.outer; o++)
        for (int64_t j = 0; j < b.inner; j++) {
            int64_t i = o * b.inner + j, c = to.labels[i];
            if (c == to.ignored) continue;
            dx[(o * b.n + c) * b.inner + j] = -(g[each ? i : 0] / divisor) * (to.weight ? to.weight[c] : 1);
        }
    return FG_OK;
}
