/* Reading and writing at positions that tensors of int64 name. All indices are checked before the first write; a bad one
 * is answered with FG_EINDEX, its row-major position among the indices and its value. Compiled once, see copy.c. */
#include <string.h>

#include "copy.h"
#include "dtype.h"
#include "iter.h"
#include "kernel.h"

/* Indices below zero count from the end, unless `strict`. */
static int check(fg_call *c, const fg_view *index, int64_t size, int strict) {
    const int64_t low = strict ? 0 : -size, *at = index->data;
    fg_iter it;
    fg_iter_init(&it, index->lay, 1, index);
    for (int64_t k = 0; k < it.runs; k++, fg_iter_next(&it))
        for (int64_t i = 0; i < it.len; i++) {
            int64_t value = at[it.at[0] + i * it.step[0]];
            if (value < low || value >= size) {
                c->where = k * it.len + i;
                c->value = value;
                return FG_EINDEX;
            }
        }
    return FG_OK;
}

/* ---- index, index_put: tensors that broadcast together name positions along some axes of x ------------------------- *
 * attrs.axes   bit k set: axis k of x is indexed; the index tensors follow in the order of the axes
 * attrs.axis   where the axes of the broadcast indices stand among the axes that are kept
 * attrs.i[0]   1: negative indices are errors
 * attrs.mode   index_put: 1 adds, 0 replaces (of several values for one element, the last one stays) */

/* One side of the copy: x itself, or the indexed part (a result or values): its strides over the kept axes, and what
 * one step of the broadcast indices means. */
typedef struct {
    int nidx, nkept;
    int64_t size[FG_MAX_DIMS], stride[FG_MAX_DIMS]; /* of x along the indexed axes */
    int64_t kept[FG_MAX_DIMS], xkept[FG_MAX_DIMS]; /* sizes and strides of x along the others */
    const fg_view *indices;
    fg_layout over; /* of the broadcast indices */
} plan;

static int make_plan(fg_call *c, const fg_layout *x, const fg_view *indices, plan *p) {
    p->nidx = p->nkept = 0;
    p->indices = indices;
    for (int k = 0; k < x->ndim; k++) {
        if (c->attrs->axes >> k & 1) {
            p->size[p->nidx] = x->shape[k];
            p->stride[p->nidx++] = x->stride[k];
        } else {
            p->kept[p->nkept] = x->shape[k];
            p->xkept[p->nkept++] = x->stride[k];
        }
    }
    fg_layout *over = &p->over;
    *over = (fg_layout){.size = 1};
    for (int j = 0; j < p->nidx; j++) {
        int code = check(c, indices + j, p->size[j], c->attrs->i[0] == 1);
        if (code) return code;
        if (indices[j].lay->ndim > over->ndim) over->ndim = indices[j].lay->ndim;
    }
    for (int k = 0; k < over->ndim; k++) {
        over->shape[k] = 1;
        for (int j = 0; j < p->nidx; j++) {
            const fg_layout *l = indices[j].lay;
            int a = k - (over->ndim - l->ndim);
            if (a >= 0 && l->shape[a] != 1) over->shape[k] = l->shape[a];
        }
        over->size *= over->shape[k];
    }
    return FG_OK;
}

/* Moves between `x` and `part`, whose axes are kept[:axis], the broadcast indices, kept[axis:]; `part` broadcasts. */
static void transfer(const fg_attrs *a, const plan *p, const fg_view *x, const fg_view *part, int into_x, fg_run run) {
    int64_t bytes = fg_itemsize[x->dtype], nb = p->over.ndim, whole = nb + p->nkept;
    fg_layout beside = {.ndim = (int32_t)nb}, kept = {.ndim = p->nkept, .size = 1}, xkept = {.ndim = p->nkept};
    for (int k = 0; k < whole; k++) {
        int64_t at = k - (whole - part->lay->ndim), stride = 0;
        if (at >= 0 && part->lay->shape[at] != 1) stride = part->lay->stride[at];
        if (k >= a->axis && k < a->axis + nb) {
            beside.shape[k - a->axis] = p->over.shape[k - a->axis];
            beside.stride[k - a->axis] = stride;
        } else {
            int64_t q = k < a->axis ? k : k - nb;
            kept.shape[q] = xkept.shape[q] = p->kept[q];
            kept.size *= p->kept[q];
            kept.stride[q] = stride;
            xkept.stride[q] = p->xkept[q];
        }
    }
    fg_view sides[2] = {{NULL, &xkept, x->dtype}, {NULL, &kept, x->dtype}}, operands[FG_ITER_MAX];
    operands[0] = (fg_view){NULL, &beside, x->dtype};
    for (int j = 0; j < p->nidx; j++) operands[1 + j] = p->indices[j];
    fg_iter block, it;
    fg_iter_init(&block, &kept, 2, sides);
    fg_iter_init(&it, &p->over, 1 + p->nidx, operands);
    if (block.runs == 0) return;
    for (int64_t k = 0; k < it.runs; k++, fg_iter_next(&it))
        for (int64_t i = 0; i < it.len; i++) {
            char *px = x->data, *pp = (char *)part->data + (it.at[0] + i * it.step[0]) * bytes;
            for (int j = 0; j < p->nidx; j++) {
                int64_t value = ((const int64_t *)p->indices[j].data)[it.at[1 + j] + i * it.step[1 + j]];
                px += (value < 0 ? value + p->size[j] : value) * p->stride[j] * bytes;
            }
            int64_t b = 0;
            do { /* after its last run the iteration stands at its start again */
                char *ex = px + block.at[0] * bytes, *ep = pp + block.at[1] * bytes;
                if (into_x) run(block.len, ex, block.step[0], ep, block.step[1]);
                else run(block.len, ep, block.step[1], ex, block.step[0]);
                if (block.runs == 1) break; /* the usual case: whole rows, or single elements */
                fg_iter_next(&block);
            } while (++b < block.runs);
        }
}

/* Whole rows of a dense x, named by one vector: how batches are gathered. The indices have been checked. */
static void take_rows(fg_call *c) {
    const fg_view *x = c->v + 1;
    const int64_t *at = c->v[2].data, count = c->v[2].lay->size, rows = x->lay->shape[0];
    const int64_t bytes = fg_itemsize[x->dtype] * (x->lay->size / rows);
    char *y = c->v[0].data;
    for (int64_t k = 0; k < count; k++) {
        const char *row = (const char *)x->data + (at[k] < 0 ? at[k] + rows : at[k]) * bytes;
        if (bytes == 4) ((uint32_t *)y)[k] = *(const uint32_t *)row;
        else if (bytes == 8) ((uint64_t *)y)[k] = *(const uint64_t *)row;
        else memcpy(y + k * bytes, row, (size_t)bytes);
    }
}

/* index: y, x, indices. */
static int index_(fg_call *c) {
    const fg_view *x = c->v + 1, *rows = c->v + 2;
    if (c->attrs->axes == 1 && c->attrs->axis == 0 && x->lay->flags & FG_DENSE && x->lay->size &&
        rows->lay->ndim == 1 && rows->lay->flags & FG_DENSE) {
        int code = check(c, rows, x->lay->shape[0], c->attrs->i[0] == 1);
        if (code == FG_OK) take_rows(c);
        return code;
    }
    plan p;
    int code = make_plan(c, c->v[1].lay, c->v + 2, &p);
    if (code) return code;
    transfer(c->attrs, &p, c->v + 1, c->v, 0, fg_move(c->v[0].dtype, c->v[1].dtype));
    return FG_OK;
}

/* index_put: y, x, values, indices. */
static int index_put(fg_call *c) {
    plan p;
    int code = make_plan(c, c->v[0].lay, c->v + 3, &p);
    if (code) return code;
    if (c->v[0].data != c->v[1].data) fg_copy(c->v, c->v + 1);
    transfer(c->attrs, &p, c->v, c->v + 2, 1,
             c->attrs->mode ? fg_add(c->v[0].dtype) : fg_move(c->v[0].dtype, c->v[2].dtype));
    return FG_OK;
}

/* ---- gather, scatter: for every element, the index replaces its position along attrs.axis -------------------------- */

/* Over the shape of `index`: `beside` at the element's own position, `along` at the one with the index put in. */
static void exchange(fg_call *c, const fg_view *index, const fg_view *beside, const fg_view *along, int into_along,
                     fg_run run) {
    int axis = c->attrs->axis;
    fg_layout open = *along->lay; /* without the axis: the index brings its offset */
    int64_t stride = 0, size = 1, bytes = fg_itemsize[along->dtype];
    if (open.ndim) {
        stride = open.stride[axis];
        size = open.shape[axis];
        open.stride[axis] = 0;
    }
    const fg_view operands[3] = {*index, *beside, {along->data, &open, along->dtype}};
    fg_iter it;
    fg_iter_init(&it, index->lay, 3, operands);
    for (int64_t k = 0; k < it.runs; k++, fg_iter_next(&it))
        for (int64_t i = 0; i < it.len; i++) {
            int64_t value = ((const int64_t *)index->data)[it.at[0] + i * it.step[0]];
            if (value < 0) value += size;
            char *pb = (char *)beside->data + (it.at[1] + i * it.step[1]) * bytes;
            char *pa = (char *)along->data + (it.at[2] + i * it.step[2] + value * stride) * bytes;
            if (into_along) run(1, pa, 1, pb, 1);
            else run(1, pb, 1, pa, 1);
        }
}

static int64_t size_along(const fg_view *v, int axis) { return v->lay->ndim ? v->lay->shape[axis] : 1; }

/* gather: y, x, index. */
static int gather(fg_call *c) {
    int code = check(c, c->v + 2, size_along(c->v + 1, c->attrs->axis), c->attrs->i[0] == 1);
    if (code) return code;
    exchange(c, c->v + 2, c->v, c->v + 1, 0, fg_move(c->v[0].dtype, c->v[1].dtype));
    return FG_OK;
}

/* scatter: y, x, index, source. attrs.mode 1 adds, 0 replaces. */
static int scatter(fg_call *c) {
    int code = check(c, c->v + 2, size_along(c->v, c->attrs->axis), c->attrs->i[0] == 1);
    if (code) return code;
    if (c->v[0].data != c->v[1].data) fg_copy(c->v, c->v + 1);
    exchange(c, c->v + 2, c->v + 3, c->v, 1,
             c->attrs->mode ? fg_add(c->v[0].dtype) : fg_move(c->v[0].dtype, c->v[3].dtype));
    return FG_OK;
}

/* ---- nonzero: y [count, axes of x], x; the positions of the elements that are not zero, in row-major order --------- */

static int differs_from_zero(const fg_view *x, int64_t at) {
    switch (x->dtype) {
    case FG_F32: return ((const float *)x->data)[at] != 0;
    case FG_F64: return ((const double *)x->data)[at] != 0;
    case FG_I64: return ((const int64_t *)x->data)[at] != 0;
    case FG_I32: return ((const int32_t *)x->data)[at] != 0;
    default: return ((const uint8_t *)x->data)[at] != 0;
    }
}

static int nonzero(fg_call *c) {
    const fg_layout *x = c->v[1].lay;
    int64_t *row = c->v[0].data, position[FG_MAX_DIMS] = {0}, at = 0, left = c->v[0].lay->shape[0];
    for (int64_t k = 0; k < x->size && left > 0; k++) {
        if (differs_from_zero(c->v + 1, at)) {
            memcpy(row, position, (size_t)x->ndim * sizeof *row);
            row += x->ndim;
            left--;
        }
        for (int a = x->ndim - 1; a >= 0; a--) {
            at += x->stride[a];
            if (++position[a] < x->shape[a]) break;
            at -= x->stride[a] * x->shape[a];
            position[a] = 0;
        }
    }
    return FG_OK;
}

/* ---- masked_fill: y, x, mask (bool), value (0-d); x where the mask is false, the value elsewhere ------------------- */

#define FILL(NAME, T)                                                                         \
    static void NAME(int64_t n, T *y, int64_t sy, const uint8_t *mask, int64_t sm, T value) { \
        if (sy == 1 && sm == 1)                                                               \
            for (int64_t i = 0; i < n; i++) y[i] = mask[i] ? value : y[i];                    \
        else                                                                                  \
            for (int64_t i = 0; i < n; i++)                                                   \
                if (mask[i * sm]) y[i * sy] = value;                                          \
    }
FILL(fill1, uint8_t)
FILL(fill4, uint32_t)
FILL(fill8, uint64_t)

static int masked_fill(fg_call *c) {
    const fg_view both[2] = {c->v[0], c->v[2]};
    int64_t bytes = fg_itemsize[c->v[0].dtype];
    if (c->v[0].data != c->v[1].data) fg_copy(c->v, c->v + 1);
    fg_iter it;
    fg_iter_init(&it, c->v[0].lay, 2, both);
    for (int64_t k = 0; k < it.runs; k++, fg_iter_next(&it)) {
        const uint8_t *mask = (const uint8_t *)c->v[2].data + it.at[1];
        void *y = (char *)c->v[0].data + it.at[0] * bytes;
        const void *value = c->v[3].data;
        if (bytes == 4) fill4(it.len, y, it.step[0], mask, it.step[1], *(const uint32_t *)value);
        else if (bytes == 8) fill8(it.len, y, it.step[0], mask, it.step[1], *(const uint64_t *)value);
        else fill1(it.len, y, it.step[0], mask, it.step[1], *(const uint8_t *)value);
    }
    return FG_OK;
}

#define ALL(k) {k, k, k, k, k, k}
const fg_entry fg_index_entries[] = {
    {"index", ALL(index_)},    {"index_put", ALL(index_put)},     {"gather", ALL(gather)}, {"scatter", ALL(scatter)},
    {"nonzero", ALL(nonzero)}, {"masked_fill", ALL(masked_fill)}, {NULL, {NULL}},
};
