/* Attention over GEMM, the product of matmul.inc.c for elements of type T: softmax(scale q k^T + mask) v for each matrix
 * of a batch (Vaswani et al. 2017), and its gradients; included for each real type T. Outputs are dense, inputs have any
 * layout; q, k, v and g have the same leading axes, the mask broadcasts. attrs: f[0], the scale; mode, whether row i takes
 * no column beyond i. */

/* The last two axes of an operand; along an axis that it does not have, or has with size 1, it repeats. */
typedef struct {
    int64_t rows, cols, rs, cs;
} FN(matrix);

static FN(matrix) FN(matrix_of)(const fg_view *v) {
    const fg_layout *l = v->lay;
    int r = l->ndim - 2, c = l->ndim - 1;
    FN(matrix) m = {r < 0 ? 1 : l->shape[r], c < 0 ? 1 : l->shape[c], 0, 0};
    if (m.rows > 1) m.rs = l->stride[r];
    if (m.cols > 1) m.cs = l->stride[c];
    return m;
}

/* The batches of v[0..n), over that of the dense `over`. */
static void FN(batches)(fg_iter *it, const fg_view *over, int n, const fg_view *v) {
    fg_layout room[6];
    fg_view batch[5], whole = FG_SET(cut)(over, 2, room + 5);
    for (int j = 0; j < n; j++) batch[j] = FG_SET(cut)(v + j, 2, room + j);
    fg_iter_init(it, whole.lay, n, batch);
}

/* One row of scores: scaled and masked. `mask` is bool (true: takes part), real (added) or NULL. */
static void FN(mask_row)(T *row, int64_t n, T scale, const void *mask, int64_t dtype, int64_t at, int64_t step) {
    if (!mask)
        for (int64_t k = 0; k < n; k++) row[k] *= scale;
    else if (dtype == FG_BOOL)
        for (int64_t k = 0; k < n; k++) row[k] = ((const uint8_t *)mask)[at + k * step] ? row[k] * scale : -INFINITY;
    else
        for (int64_t k = 0; k < n; k++) row[k] = row[k] * scale + ((const T *)mask)[at + k * step];
}

static int FN(nothing_left)(const T *row, int64_t n) {
    for (int64_t k = 0; k < n; k++)
        if (row[k] != -INFINITY) return 0;
    return 1;
}

/* In place, scores become weights, many short rows at a time as in softmax. A row of which the mask leaves nothing gets
 * zeros. */
static void FN(weights)(T *p, FN(matrix) q, FN(matrix) k, const fg_attrs *attrs, const fg_view *mask, int64_t at) {
    T s[FN(TILE)], scale = (T)attrs->f[0];
    unsigned char empty[FN(TILE)];
    int64_t n = k.rows, most = FN(tile_rows)(n), rows;
    FN(matrix) m = {0, 0, 0, 0};
    if (mask->data) m = FN(matrix_of)(mask);
    for (int64_t first = 0; first < q.rows; first += rows, p += rows * n) {
        rows = q.rows - first < most ? q.rows - first : most;
        for (int64_t r = 0; r < rows; r++) {
            T *row = p + r * n, top = -INFINITY;
            FN(mask_row)(row, n, scale, mask->data, mask->dtype, at + (first + r) * m.rs, m.cs);
            if (attrs->mode)
                for (int64_t j = first + r + 1; j < n; j++) row[j] = -INFINITY;
            if (n <= FN(SHORT))
                for (int64_t j = 0; j < n; j++) top = row[j] > top ? row[j] : top;
            else top = FN(row)(row, n, 0, &FN(shift));
            empty[r] = mask->data && FN(nothing_left)(row, n);
            if (empty[r])
                for (int64_t j = 0; j < n; j++) row[j] = 0;
            else
                for (int64_t j = 0; j < n; j++) row[j] -= top;
        }
        for (int64_t j = 0; j < rows * n; j++) p[j] = fg_exp_negative(p[j]);
        FN(row_totals)(s, p, rows, n);
        for (int64_t r = 0; r < rows; r++) s[r] = empty[r] ? 0 : 1 / s[r];
        FN(times_factors)(p, s, rows, n);
    }
}

/* y, p; q, k, v, mask. p are the weights. */
static int FN(attention)(fg_call *call) {
    const fg_view *v = call->v, *mask = v + 5;
    T *y = v[0].data, *p = v[1].data;
    FN(matrix) q = FN(matrix_of)(v + 2), k = FN(matrix_of)(v + 3), val = FN(matrix_of)(v + 4);
    fg_iter it;
    it.at[3] = it.step[3] = 0;
    FN(batches)(&it, v + 1, mask->data ? 4 : 3, v + 2);
    for (int64_t run = 0; run < it.runs; run++, fg_iter_next(&it))
        for (int64_t i = 0; i < it.len; i++, y += q.rows * val.cols, p += q.rows * k.rows) {
            GEMM(q.rows, k.rows, q.cols, (const T *)v[2].data + it.at[0] + i * it.step[0], q.rs, q.cs,
                 (const T *)v[3].data + it.at[1] + i * it.step[1], k.cs, k.rs, p, k.rows, 0);
            FN(weights)(p, q, k, call->attrs, mask, it.at[3] + i * it.step[3]);
            GEMM(q.rows, val.cols, k.rows, p, k.rows, 1, (const T *)v[4].data + it.at[2] + i * it.step[2], val.rs,
                 val.cs, y, val.cols, 0);
        }
    return FG_OK;
}

/* In place, gradients of weights become those of scores before they were scaled. */
static void FN(scores_vjp)(T *d, const T *p, int64_t rows, int64_t n, T scale) {
    for (int64_t r = 0; r < rows; r++, d += n, p += n) {
        T sum = FN(dot)(d, p, n);
        for (int64_t j = 0; j < n; j++) d[j] = scale * FN(weigh)(d[j] - sum, p[j]);
    }
}

/* dq, dk, dv; g, q, k, v, p, mask. The mask is there for the rule alone. Scratch: two matrices of scores. */
static int FN(attention_vjp)(fg_call *call) {
    const fg_view *v = call->v;
    FN(matrix) g = FN(matrix_of)(v + 3), q = FN(matrix_of)(v + 4), k = FN(matrix_of)(v + 5), val = FN(matrix_of)(v + 6);
    FN(matrix) p = FN(matrix_of)(v + 7);
    int64_t scores = p.rows * p.cols;
    if (!call->scratch) return FN(ask)(call, (2 * scores + 1) * (int64_t)sizeof(T));
    T *dq = v[0].data, *dk = v[1].data, *dv = v[2].data, *d = call->scratch, *room = d + scores;
    int dense = (p.cs == 1 || p.cols == 1) && (p.rs == p.cols || p.rows == 1);
    fg_iter it;
    FN(batches)(&it, v + 7, 5, v + 3);
    for (int64_t run = 0; run < it.runs; run++, fg_iter_next(&it))
        for (int64_t i = 0; i < it.len; i++) {
            const T *at[5], *w;
            for (int j = 0; j < 5; j++) at[j] = (const T *)v[3 + j].data + it.at[j] + i * it.step[j];
            for (int64_t r = 0; !dense && r < p.rows; r++)
                for (int64_t c = 0; c < p.cols; c++) room[r * p.cols + c] = at[4][r * p.rs + c * p.cs];
            w = dense ? at[4] : room;
            if (dv) {
                GEMM(p.cols, g.cols, p.rows, w, 1, p.cols, at[0], g.rs, g.cs, dv, g.cols, 0);
                dv += p.cols * g.cols;
            }
            if (!dq && !dk) continue;
            GEMM(p.rows, p.cols, g.cols, at[0], g.rs, g.cs, at[3], val.cs, val.rs, d, p.cols, 0);
            FN(scores_vjp)(d, w, p.rows, p.cols, (T)call->attrs->f[0]);
            if (dq) {
                GEMM(p.rows, k.cols, p.cols, d, p.cols, 1, at[2], k.rs, k.cs, dq, k.cols, 0);
                dq += p.rows * k.cols;
            }
            if (dk) {
                GEMM(p.cols, q.cols, p.rows, d, 1, p.cols, at[1], q.rs, q.cs, dk, q.cols, 0);
                dk += p.cols * q.cols;
            }
        }
    return FG_OK;
}
