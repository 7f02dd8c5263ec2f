/* Iteration over several strided operands at once: axes are merged where every operand allows it, so that a kernel
 * sees few, long inner runs. Operands align to the trailing axes of `over` and broadcast with stride 0. */
#ifndef FG_ITER_H
#define FG_ITER_H

#include "fg.h"

#define FG_ITER_MAX 9 /* an index for each axis, and the values */

typedef struct {
    int n, ndim;          /* operands; axes left after merging, at least 1 */
    int64_t runs;         /* how many inner runs there are; 0 if the shape has a 0 */
    int64_t len;          /* elements of one inner run */
    int64_t step[FG_ITER_MAX];      /* stride of each operand within the run */
    int64_t at[FG_ITER_MAX];        /* offset of each operand at the start of the current run */
    int64_t index[FG_MAX_DIMS];
    int64_t shape[FG_MAX_DIMS];
    int64_t stride[FG_ITER_MAX][FG_MAX_DIMS];
} fg_iter;

/* Views v[0..n) over the shape of `over` (normally the output's layout). */
static inline void fg_iter_init(fg_iter *it, const fg_layout *over, int n, const fg_view *v) {
    it->n = n;
    int nd = 0;
    for (int k = 0; k < over->ndim; k++) {
        int64_t size = over->shape[k], s[FG_ITER_MAX];
        if (size == 1) continue;
        for (int j = 0; j < n; j++) {
            const fg_layout *l = v[j].lay;
            int a = k - (over->ndim - l->ndim);
            s[j] = a < 0 || l->shape[a] == 1 ? 0 : l->stride[a];
        }
        int merge = nd > 0;
        for (int j = 0; merge && j < n; j++) merge = it->stride[j][nd - 1] == s[j] * size;
        if (merge) nd--;
        it->shape[nd] = merge ? it->shape[nd] * size : size;
        for (int j = 0; j < n; j++) it->stride[j][nd] = s[j];
        nd++;
    }
    if (nd == 0) {
        it->shape[0] = 1;
        for (int j = 0; j < n; j++) it->stride[j][0] = 0;
        nd = 1;
    }
    it->ndim = nd;
    it->len = it->shape[nd - 1];
    it->runs = over->size == 0 ? 0 : over->size / it->len;
    for (int j = 0; j < n; j++) {
        it->step[j] = it->stride[j][nd - 1];
        it->at[j] = 0;
    }
    for (int k = 0; k < nd; k++) it->index[k] = 0;
}

/* Moves to the next run; call it after each of the `runs` runs. */
static inline void fg_iter_next(fg_iter *it) {
    for (int k = it->ndim - 2; k >= 0; k--) {
        for (int j = 0; j < it->n; j++) it->at[j] += it->stride[j][k];
        if (++it->index[k] < it->shape[k]) return;
        for (int j = 0; j < it->n; j++) it->at[j] -= it->stride[j][k] * it->shape[k];
        it->index[k] = 0;
    }
}

#endif
