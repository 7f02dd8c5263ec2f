/* The order of the elements along an axis: stable, NaN as the largest. Compiled once, see copy.c: comparing integers, which
 * is all that is left of every dtype here, gains nothing from an instruction set. */
#include <string.h>

#include "dtype.h"
#include "iter.h"

typedef struct {
    uint64_t key; /* in the order of the elements, and equal where they are */
    int64_t at;
} entry;

static const uint64_t SIGN = (uint64_t)1 << 63;

static uint64_t key_of_real(double x) {
    uint64_t bits;
    if (x != x) return UINT64_MAX;
    x += 0.0; /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits & SIGN ? ~bits : bits | SIGN;
}

static uint64_t key_of_integer(int64_t x) { return (uint64_t)x ^ SIGN; }

#define READ(T, KEY)                                                                \
    do {                                                                            \
        const T *x = from;                                                          \
        for (int64_t i = 0; i < n; i++) e[i] = (entry){KEY(x[i * step]) ^ flip, i}; \
    } while (0)

static void read_row(int64_t dtype, int64_t n, const void *from, int64_t step, uint64_t flip, entry *e) {
    switch (dtype) {
    case FG_F32: READ(float, key_of_real); break;
    case FG_F64: READ(double, key_of_real); break;
    case FG_I64: READ(int64_t, key_of_integer); break;
    case FG_I32: READ(int32_t, key_of_integer); break;
    default: READ(uint8_t, key_of_integer);
    }
}

/* Sorts e[0..n) by key, equal ones as they came: runs by insertion, then merged pair by pair between e and `spare`.
 * Returns where the result is. */
static entry *sorted(int64_t n, entry *e, entry *spare) {
    enum { RUN = 16 };
    for (int64_t start = 0; start < n; start += RUN) {
        int64_t end = n - start < RUN ? n : start + RUN;
        for (int64_t i = start + 1; i < end; i++) {
            entry one = e[i];
            int64_t j = i;
            for (; j > start && one.key < e[j - 1].key; j--) e[j] = e[j - 1];
            e[j] = one;
        }
    }
    for (int64_t run = RUN; run < n; run *= 2) {
        for (int64_t start = 0; start < n; start += 2 * run) {
            int64_t middle = n - start < run ? n : start + run, end = n - start < 2 * run ? n : start + 2 * run;
            int64_t i = start, j = middle;
            for (int64_t k = start; k < end; k++) {
                int right = i == middle || (j < end && e[j].key < e[i].key);
                spare[k] = right ? e[j] : e[i];
                i += !right;
                j += right;
            }
        }
        entry *done = spare;
        spare = e;
        e = done;
    }
    return e;
}

/* argsort: y (int64), x; the positions along attrs.axis of the elements in order, of the largest first with attrs.mode 1. */
static int argsort(fg_call *c) {
    const fg_layout *l = c->v[1].lay;
    int axis = c->attrs->axis;
    int64_t n = l->ndim ? l->shape[axis] : 1, item = fg_itemsize[c->v[1].dtype];
    int64_t from = l->ndim ? l->stride[axis] : 0, to = l->ndim ? c->v[0].lay->stride[axis] : 0;
    if (l->size == 0) return FG_OK;
    if (!c->scratch) {
        c->value = 2 * n * (int64_t)sizeof(entry);
        return FG_ESCRATCH;
    }
    fg_layout rows[2] = {*c->v[0].lay, *l}; /* one element of each row */
    for (int j = 0; j < 2 && l->ndim; j++) {
        rows[j].shape[axis] = 1;
        rows[j].size = l->size / n;
    }
    const fg_view starts[2] = {{c->v[0].data, rows, c->v[0].dtype}, {c->v[1].data, rows + 1, c->v[1].dtype}};
    entry *e = c->scratch;
    fg_iter it;
    fg_iter_init(&it, rows, 2, starts);
    for (int64_t k = 0; k < it.runs; k++, fg_iter_next(&it))
        for (int64_t i = 0; i < it.len; i++) {
            int64_t *y = (int64_t *)c->v[0].data + it.at[0] + i * it.step[0];
            const char *x = (const char *)c->v[1].data + (it.at[1] + i * it.step[1]) * item;
            read_row(c->v[1].dtype, n, x, from, c->attrs->mode ? UINT64_MAX : 0, e);
            const entry *in_order = sorted(n, e, e + n);
            for (int64_t r = 0; r < n; r++) y[r * to] = in_order[r].at;
        }
    return FG_OK;
}

const fg_entry fg_sort_entries[] = {
    {"argsort", {argsort, argsort, argsort, argsort, argsort, argsort}},
    {NULL, {NULL}},
};
