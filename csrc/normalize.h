/* layer_norm and rms_norm over dense rows, batch_norm over all axes but the second; included for each real type T.
 * f[0] = eps. Weight and bias may be missing: their data is NULL.
 *
 * With h = (x - mean) rstd and u = g w, in every case
 *   dx = rstd (u - mean(u) - h mean(u h)),  dw = sum of g h,  db = sum of g
 * where rms_norm has no mean. An output of a vjp that is not wanted is missing too. */

/* y = (x - mean) rstd w + b */
static void FN(affine_row)(T *y, const T *x, int64_t n, T mean, T rstd, const T *w, const T *b) {
    if (w && b)
        for (int64_t k = 0; k < n; k++) y[k] = (x[k] - mean) * rstd * w[k] + b[k];
    else if (w)
        for (int64_t k = 0; k < n; k++) y[k] = (x[k] - mean) * rstd * w[k];
    else
        for (int64_t k = 0; k < n; k++) y[k] = (x[k] - mean) * rstd;
}

/* y, mean, rstd; x, weight, bias. Rows are what one element of rstd stands for. */
static int FN(layer_norm)(fg_call *call) {
    const fg_view *v = call->v;
    T *y = v[0].data, *mean = v[1].data, *rstd = v[2].data, eps = (T)call->attrs->f[0];
    const T *x = v[3].data, *w = v[4].data, *b = v[5].data;
    int64_t rows = v[2].lay->size, n = rows ? v[3].lay->size / rows : 0;
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        T m = FN(row)(x, n, 0, &FN(add)) / (T)n;
        T var = FN(row)(x, n, m, &FN(deviations)) / (T)n;
        mean[r] = m;
        rstd[r] = 1 / fg_sqrt(var + eps);
        FN(affine_row)(y, x, n, m, rstd[r], w, b);
    }
    return FG_OK;
}

/* y, rstd; x, weight */
static int FN(rms_norm)(fg_call *call) {
    const fg_view *v = call->v;
    T *y = v[0].data, *rstd = v[1].data, eps = (T)call->attrs->f[0];
    const T *x = v[2].data, *w = v[3].data;
    int64_t rows = v[1].lay->size, n = rows ? v[2].lay->size / rows : 0;
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        rstd[r] = 1 / fg_sqrt(FN(row)(x, n, 0, &FN(euclidean)) / (T)n + eps);
        FN(affine_row)(y, x, n, 0, rstd[r], w, NULL);
    }
    return FG_OK;
}

/* The sums of u and of u h over one row, in lanes as in FN(run). */
FG_ALWAYS_INLINE void FN(row_sums)(const T *g, const T *x, int64_t n, T mean, T rstd, const T *w, T *su, T *suh) {
    T a[FN(LANES)], b[FN(LANES)], ta = 0, tb = 0;
    int64_t i = 0;
    for (int j = 0; j < FN(LANES); j++) a[j] = b[j] = 0;
    for (; i + FN(LANES) <= n; i += FN(LANES))
        for (int j = 0; j < FN(LANES); j++) {
            T u = w ? g[i + j] * w[i + j] : g[i + j];
            a[j] += u;
            b[j] += u * ((x[i + j] - mean) * rstd);
        }
    for (; i < n; i++) {
        T u = w ? g[i] * w[i] : g[i];
        ta += u;
        tb += u * ((x[i] - mean) * rstd);
    }
    for (int j = 0; j < FN(LANES); j++) ta += a[j], tb += b[j];
    *su = ta;
    *suh = tb;
}

/* One row of dx, and its share of dw and db. */
static void FN(norm_vjp_row)(T *dx, T *dw, T *db, const T *g, const T *x, int64_t n, T mean, T rstd, const T *w,
                             int centred) {
    if (dx) {
        T su, suh;
        if (w) FN(row_sums)(g, x, n, mean, rstd, w, &su, &suh);
        else FN(row_sums)(g, x, n, mean, rstd, NULL, &su, &suh);
        su = centred ? su / (T)n : 0;
        suh /= (T)n;
        if (w)
            for (int64_t k = 0; k < n; k++) dx[k] = rstd * (g[k] * w[k] - su - (x[k] - mean) * rstd * suh);
        else
            for (int64_t k = 0; k < n; k++) dx[k] = rstd * (g[k] - su - (x[k] - mean) * rstd * suh);
    }
    if (dw)
        for (int64_t k = 0; k < n; k++) dw[k] += g[k] * ((x[k] - mean) * rstd);
    if (db)
        for (int64_t k = 0; k < n; k++) db[k] += g[k];
}

static T *FN(zeroed)(const fg_view *v) {
    if (v->data) memset(v->data, 0, (size_t)v->lay->size * sizeof(T));
    return v->data;
}

/* dx, dw, db; g, x, mean, rstd, weight */
static int FN(layer_norm_vjp)(fg_call *call) {
    const fg_view *v = call->v;
    const T *g = v[3].data, *x = v[4].data, *mean = v[5].data, *rstd = v[6].data, *w = v[7].data;
    int64_t rows = v[6].lay->size, n = rows ? v[4].lay->size / rows : 0;
    T *dx = v[0].data, *dw = FN(zeroed)(&v[1]), *db = FN(zeroed)(&v[2]);
    for (int64_t r = 0; r < rows; r++, g += n, x += n) {
        FN(norm_vjp_row)(dx, dw, db, g, x, n, mean[r], rstd[r], w, 1);
        if (dx) dx += n;
    }
    return FG_OK;
}

/* dx, dw; g, x, rstd, weight */
static int FN(rms_norm_vjp)(fg_call *call) {
    const fg_view *v = call->v;
    const T *g = v[2].data, *x = v[3].data, *rstd = v[4].data, *w = v[5].data;
    int64_t rows = v[4].lay->size, n = rows ? v[3].lay->size / rows : 0;
    T *dx = v[0].data, *dw = FN(zeroed)(&v[1]);
    for (int64_t r = 0; r < rows; r++, g += n, x += n) {
        FN(norm_vjp_row)(dx, dw, NULL, g, x, n, 0, rstd[r], w, 0);
        if (dx) dx += n;
    }
    return FG_OK;
}

/* An input (N, C, ...) as (N, C, inner). */
static fg_blocks FN(channels_of)(const fg_layout *x) { return fg_around(x, 2); }

/* Asks for `bytes` of scratch. */
static int FN(ask)(fg_call *call, int64_t bytes) {
    call->value = bytes;
    return FG_ESCRATCH;
}

/* y, mean, var (the biased one); x, weight, bias. Scratch: one value for each channel. */
static int FN(batch_norm)(fg_call *call) {
    const fg_view *v = call->v, *x = &v[3];
    T *y = v[0].data, *mean = v[1].data, *var = v[2].data, eps = (T)call->attrs->f[0];
    const T *w = v[4].data, *b = v[5].data, *xt = x->data;
    uint32_t axes = ((1u << x->lay->ndim) - 1) & ~2u;
    fg_blocks c = FN(channels_of)(x->lay);
    if (!call->scratch) return FN(ask)(call, c.n * (int64_t)sizeof(T));
    T n = (T)(c.outer * c.inner);
    FN(reduce)(x, axes, mean, NULL, n, &FN(average));
    FN(reduce)(x, axes, var, mean, n, &FN(deviations));
    T *scale = call->scratch;
    for (int64_t k = 0; k < c.n; k++) scale[k] = (w ? w[k] : 1) / fg_sqrt(var[k] + eps);
    for (int64_t o = 0; o < c.outer; o++)
        if (c.inner == 1) {
            const T *xr = xt + o * c.n;
            T *yr = y + o * c.n;
            if (b)
                for (int64_t k = 0; k < c.n; k++) yr[k] = (xr[k] - mean[k]) * scale[k] + b[k];
            else
                for (int64_t k = 0; k < c.n; k++) yr[k] = (xr[k] - mean[k]) * scale[k];
        } else
            for (int64_t k = 0, at = o * c.n * c.inner; k < c.n; k++, at += c.inner) {
                T shift = b ? b[k] : 0;
                for (int64_t i = 0; i < c.inner; i++) y[at + i] = (xt[at + i] - mean[k]) * scale[k] + shift;
            }
    return FG_OK;
}

/* dx, dw, db; g, x, mean, var, weight. Scratch: three values for each channel. */
static int FN(batch_norm_vjp)(fg_call *call) {
    const fg_view *v = call->v;
    const T *g = v[3].data, *x = v[4].data, *mean = v[5].data, *var = v[6].data, *w = v[7].data;
    fg_blocks c = FN(channels_of)(v[4].lay);
    if (!call->scratch) return FN(ask)(call, 3 * c.n * (int64_t)sizeof(T));
    T *dx = v[0].data, *dw = v[1].data, *db = v[2].data;
    T *sg = call->scratch, *sgh = sg + c.n, *rstd = sgh + c.n, eps = (T)call->attrs->f[0];
    for (int64_t k = 0; k < c.n; k++) sg[k] = sgh[k] = 0, rstd[k] = 1 / fg_sqrt(var[k] + eps);
    for (int64_t o = 0, at = 0; o < c.outer; o++)
        if (c.inner == 1) {
            for (int64_t k = 0; k < c.n; k++) {
                sg[k] += g[at + k];
                sgh[k] += g[at + k] * ((x[at + k] - mean[k]) * rstd[k]);
            }
            at += c.n;
        } else
            for (int64_t k = 0; k < c.n; k++, at += c.inner) {
                T a, b;
                FN(row_sums)(g + at, x + at, c.inner, mean[k], rstd[k], NULL, &a, &b);
                sg[k] += a;
                sgh[k] += b;
            }
    if (dw) memcpy(dw, sgh, (size_t)c.n * sizeof(T));
    if (db) memcpy(db, sg, (size_t)c.n * sizeof(T));
    if (!dx) return FG_OK;
    T n = (T)(c.outer * c.inner);
    for (int64_t k = 0; k < c.n; k++) sg[k] /= n, sgh[k] = sgh[k] * rstd[k] / n;
    for (int64_t o = 0, at = 0; o < c.outer; o++)
        if (c.inner == 1) {
            for (int64_t k = 0; k < c.n; k++)
                dx[at + k] = rstd[k] * (w ? w[k] : 1) * (g[at + k] - sg[k] - (x[at + k] - mean[k]) * sgh[k]);
            at += c.n;
        } else
            for (int64_t k = 0; k < c.n; k++, at += c.inner) {
                T scale = rstd[k] * (w ? w[k] : 1);
                for (int64_t i = 0; i < c.inner; i++)
                    dx[at + i] = scale * (g[at + i] - sg[k] - (x[at + i] - mean[k]) * sgh[k]);
            }
    return FG_OK;
}

/* In place: running mean, running var; mean, var of a batch. f[0] = momentum, f[1] = n / (n - 1). */
static int FN(running_stats_)(fg_call *call) {
    const fg_view *v = call->v;
    T *rm = v[0].data, *rv = v[1].data, f = (T)call->attrs->f[0], unbiased = (T)call->attrs->f[1];
    const T *mean = v[2].data, *var = v[3].data;
    for (int64_t k = 0; k < v[0].lay->size; k++) {
        rm[k] = (1 - f) * rm[k] + f * mean[k];
        rv[k] = (1 - f) * rv[k] + f * (var[k] * unbiased);
    }
    return FG_OK;
}
