/* linear and linear_vjp over FN(gemm), for elements of type T; included once for each T by matmul.inc.c. Outputs are
 * dense, inputs have any layout; leading axes that merge are one product. */

static ALWAYS_INLINE T FN(rectified)(const int how, T x) { return how & RELU && 0 > x ? 0 : x; }

/* y[i, :] += bias for all rows, and with RELU 0 for what is below; y is dense. Few columns would not fill a vector: the bias
 * is repeated for as many rows as make one loop of them, a fifth of the time for rows of ten. */
static ALWAYS_INLINE void FN(add_bias)(const int how, int64_t rows, int64_t n, T *restrict y, const T *restrict bias,
                                       int64_t step) {
    enum { ROOM = 256, NARROW = 32 };
    if (n > 0 && n < NARROW && rows > 2) {
        T many[ROOM];
        int64_t most = ROOM / n;
        if (most > rows) most = rows;
        for (int64_t k = 0; k < most * n; k += n)
            for (int64_t j = 0; j < n; j++) many[k + j] = bias[j * step];
        for (int64_t i = 0; i < rows; i += most) {
            int64_t count = (rows - i < most ? rows - i : most) * n;
            for (int64_t j = 0; j < count; j++) y[i * n + j] = FN(rectified)(how, y[i * n + j] + many[j]);
        }
        return;
    }
    for (int64_t i = 0; i < rows; i++, y += n)
        if (step == 1)
            for (int64_t j = 0; j < n; j++) y[j] = FN(rectified)(how, y[j] + bias[j]);
        else
            for (int64_t j = 0; j < n; j++) y[j] = FN(rectified)(how, y[j] + bias[j * step]);
}

/* linear: y, x, weight, bias; y = x weight^T + bias. A bias that was left out has no data. */
static ALWAYS_INLINE int FN(linear_of)(const int how, fg_call *call) {
    const fg_layout *x = call->v[1].lay, *w = call->v[2].lay;
    T *y = call->v[0].data;
    int64_t n = w->shape[0], k = w->shape[1], csx = x->stride[x->ndim - 1];
    const T *bias = call->v[3].data;
    int64_t step = bias ? call->v[3].lay->stride[0] : 1;
    fg_iter it;
    FG_SET(iterate_rows)(&it, 1, call->v + 1);
    for (int64_t run = 0; run < it.runs; run++, fg_iter_next(&it)) {
        int done = FN(gemm_with)(it.len, n, k, (const T *)call->v[1].data + it.at[0], it.step[0], csx, call->v[2].data,
                                 w->stride[1], w->stride[0], y, n, step == 1 ? how : 0, step == 1 ? bias : NULL);
        if (!done || step != 1) {
            if (bias) FN(add_bias)(how, it.len, n, y, bias, step);
            else if (how) FN(activate)(1, it.len * n, y, 0, how, NULL);
        }
        y += it.len * n;
    }
    return FG_OK;
}

static int FN(linear)(fg_call *call) { return FN(linear_of)(0, call); }

/* out[j] (+)= sum of g[:, j]. Sums of 128 rows are added up apart, so that the error grows with rows / 128. */
static void FN(sum_rows)(int64_t rows, int64_t n, const T *g, int64_t rsg, int64_t csg, T *out, int add) {
    enum { COLUMNS = 64, BLOCK = 128 };
    if (rows == 1 && csg == 1 && !add) {
        memcpy(out, g, (size_t)n * sizeof(T));
        return;
    }
    for (int64_t j = 0; j < n; j += COLUMNS) {
        int cols = n - j < COLUMNS ? (int)(n - j) : COLUMNS;
        T total[COLUMNS] = {0};
        for (int64_t first = 0; first < rows; first += BLOCK) {
            int64_t last = rows - first < BLOCK ? rows : first + BLOCK;
            T part[COLUMNS] = {0};
            for (int64_t i = first; i < last; i++) {
                const T *row = g + i * rsg + j * csg;
                if (csg == 1)
                    for (int q = 0; q < cols; q++) part[q] += row[q];
                else
                    for (int q = 0; q < cols; q++) part[q] += row[q * csg];
            }
            for (int q = 0; q < cols; q++) total[q] += part[q];
        }
        for (int q = 0; q < cols; q++) out[j + q] = add ? out[j + q] + total[q] : total[q];
    }
}

/* linear_vjp: dx, dweight, dbias; then g, x, weight; with MASK another input, dense as dx. An output that is not needed has
 * no data. */
static ALWAYS_INLINE int FN(linear_vjp_of)(const int how, fg_call *call) {
    T *dx = call->v[0].data, *dw = call->v[1].data, *db = call->v[2].data;
    const fg_layout *g = call->v[3].lay, *x = call->v[4].lay, *w = call->v[5].lay;
    const T *with = how & MASK ? call->v[6].data : NULL;
    int64_t n = w->shape[0], k = w->shape[1], csg = g->stride[g->ndim - 1], csx = x->stride[x->ndim - 1];
    fg_iter it;
    FG_SET(iterate_rows)(&it, 2, call->v + 3);
    if (it.runs == 0) {
        if (dw) memset(dw, 0, (size_t)(n * k) * sizeof(T));
        if (db) memset(db, 0, (size_t)n * sizeof(T));
    }
    for (int64_t run = 0; run < it.runs; run++, fg_iter_next(&it)) {
        const T *gr = (const T *)call->v[3].data + it.at[0], *xr = (const T *)call->v[4].data + it.at[1];
        int64_t rsg = it.step[0], rsx = it.step[1];
        if (dx) {
            FN(gemm_to_end)(it.len, k, n, gr, rsg, csg, call->v[5].data, w->stride[0], w->stride[1], dx, how, with);
            dx += it.len * k;
            if (how & MASK) with += it.len * k;
        }
        if (dw) FN(gemm)(n, k, it.len, gr, csg, rsg, xr, rsx, csx, dw, k, run > 0);
        if (db) FN(sum_rows)(it.len, n, gr, rsg, csg, db, run > 0);
    }
    return FG_OK;
}

static int FN(linear_vjp)(fg_call *call) { return FN(linear_vjp_of)(0, call); }
