/* matmul over FN(gemm_to_end), for elements of type T; included once for each T by matmul.inc.c. The output is dense, the
 * inputs have any layout, and none is copied as a whole. */

/* matmul: y, a, b; with MASK another input, dense as y. As numpy.matmul: a vector is a row on the left and a column on the
 * right, and the axes before the last two broadcast. */
static ALWAYS_INLINE int FN(matmul_of)(const int how, fg_call *call) {
    const fg_layout *y = call->v[0].lay, *a = call->v[1].lay, *b = call->v[2].lay;
    T *to = call->v[0].data;
    const T *left = call->v[1].data, *right = call->v[2].data, *with = how & MASK ? call->v[3].data : NULL;
    int na = a->ndim, nb = b->ndim;
    int64_t m = na > 1 ? a->shape[na - 2] : 1, rsa = na > 1 ? a->stride[na - 2] : 0;
    int64_t n = nb > 1 ? b->shape[nb - 1] : 1, csb = nb > 1 ? b->stride[nb - 1] : 0;
    int64_t k = a->shape[na - 1], csa = a->stride[na - 1], rsb = b->stride[nb > 1 ? nb - 2 : 0];
    if (na <= 2 && nb <= 2) {
        FN(gemm_to_end)(m, n, k, left, rsa, csa, right, rsb, csb, to, how, with);
        return FG_OK;
    }
    fg_iter it;
    if (nb <= 2) { /* one matrix for all: the batch is more rows of a */
        FG_SET(iterate_rows)(&it, 1, call->v + 1);
        for (int64_t run = 0; run < it.runs; run++, fg_iter_next(&it), to += it.len * n) {
            FN(gemm_to_end)(it.len, n, k, left + it.at[0], it.step[0], csa, right, rsb, csb, to, how, with);
            if (how & MASK) with += it.len * n;
        }
        return FG_OK;
    }
    if (na <= 2 && n == 1) { /* one matrix for a stack of columns: they are the rows of a product with its transpose */
        fg_layout room;
        fg_view columns = FG_SET(cut)(call->v + 2, 1, &room);
        FG_SET(iterate_rows)(&it, 1, &columns);
        for (int64_t run = 0; run < it.runs; run++, fg_iter_next(&it), to += it.len * m) {
            FN(gemm_to_end)(it.len, m, k, right + it.at[0], it.step[0], rsb, left, csa, rsa, to, how, with);
            if (how & MASK) with += it.len * m;
        }
        return FG_OK;
    }
    FG_SET(iterate_batch)(&it, call->v, y->ndim - (na > 1) - (nb > 1), call->v + 1);
    for (int64_t run = 0; run < it.runs; run++, fg_iter_next(&it))
        for (int64_t i = 0; i < it.len; i++, to += m * n) {
            FN(gemm_to_end)(m, n, k, left + it.at[0] + i * it.step[0], rsa, csa, right + it.at[1] + i * it.step[1], rsb,
                            csb, to, how, with);
            if (how & MASK) with += m * n;
        }
    return FG_OK;
}

static int FN(matmul)(fg_call *call) { return FN(matmul_of)(0, call); }
