/* Copies, casts and concatenation. Compiled once: they are bound by memory, so the instruction sets gain nothing. */
#include <string.h>

#include "copy.h"
#include "dtype.h"
#include "iter.h"
#include "kernel.h"

/* ---- one run of elements: n of them, `sd` and `ss` apart ---------------------------------------------------------- */

#define MOVE(NAME, T)                                                                 \
    static void NAME(int64_t n, void *to, int64_t sd, const void *from, int64_t ss) { \
        T *d = to;                                                                    \
        const T *s = from;                                                            \
        if (n == 1) {                                                                 \
            *d = *s;                                                                  \
        } else if (sd == 1 && ss == 1) {                                              \
            memcpy(d, s, (size_t)n * sizeof(T));                                      \
        } else if (sd == 1 && ss == 0) {                                              \
            for (int64_t i = 0; i < n; i++) d[i] = *s;                                \
        } else {                                                                      \
            for (int64_t i = 0; i < n; i++) d[i * sd] = s[i * ss];                    \
        }                                                                             \
    }
MOVE(move1, uint8_t)
MOVE(move4, uint32_t)
MOVE(move8, uint64_t)

#define CAST(NAME, S, D, VALUE)                                                       \
    static void NAME(int64_t n, void *to, int64_t sd, const void *from, int64_t ss) { \
        D *d = to;                                                                    \
        const S *s = from;                                                            \
        if (sd == 1 && ss == 1) {                                                     \
            for (int64_t i = 0; i < n; i++) {                                         \
                S x = s[i];                                                           \
                d[i] = (D)(VALUE);                                                    \
            }                                                                         \
        } else {                                                                      \
            for (int64_t i = 0; i < n; i++) {                                         \
                S x = s[i * ss];                                                      \
                d[i * sd] = (D)(VALUE);                                               \
            }                                                                         \
        }                                                                             \
    }

/* Reals become integers by truncation; small integers by way of int64, so that -1.0 is 255 on every machine. */
#define CASTS(NAME, S, AS_INT)           \
    CAST(NAME##_f32, S, float, x)        \
    CAST(NAME##_f64, S, double, x)       \
    CAST(NAME##_i64, S, int64_t, x)      \
    CAST(NAME##_i32, S, int32_t, AS_INT) \
    CAST(NAME##_u8, S, uint8_t, AS_INT)  \
    CAST(NAME##_bool, S, uint8_t, x != 0)
CASTS(f32, float, (int64_t)x)
CASTS(f64, double, (int64_t)x)
CASTS(i64, int64_t, x)
CASTS(i32, int32_t, x)
CASTS(u8, uint8_t, x)

#define ROW(S) {S##_f32, S##_f64, S##_i64, S##_i32, S##_u8, S##_bool}
static const fg_run casts[FG_NDTYPES][FG_NDTYPES] = {
    [FG_F32] = ROW(f32), [FG_F64] = ROW(f64), [FG_I64] = ROW(i64),
    [FG_I32] = ROW(i32), [FG_U8] = ROW(u8),   [FG_BOOL] = ROW(u8), /* a bool is a 0 or a 1 */
};

fg_run fg_move(int64_t to, int64_t from) {
    if (from != to) return casts[from][to];
    int64_t size = fg_itemsize[to];
    return size == 4 ? move4 : size == 8 ? move8 : move1;
}

#define ADD(NAME, T, OP)                                                              \
    static void NAME(int64_t n, void *to, int64_t sd, const void *from, int64_t ss) { \
        T *d = to;                                                                    \
        const T *s = from;                                                            \
        if (sd == 1 && ss == 1) {                                                     \
            for (int64_t i = 0; i < n; i++) d[i] OP s[i];                             \
        } else {                                                                      \
            for (int64_t i = 0; i < n; i++) d[i * sd] OP s[i * ss];                   \
        }                                                                             \
    }
/* Integers unsigned, since sums wrap around; bools by "or". */
ADD(add_f32, float, +=)
ADD(add_f64, double, +=)
ADD(add_i64, uint64_t, +=)
ADD(add_i32, uint32_t, +=)
ADD(add_u8, uint8_t, +=)
ADD(add_bool, uint8_t, |=)

fg_run fg_add(int64_t dtype) {
    static const fg_run adds[FG_NDTYPES] = {add_f32, add_f64, add_i64, add_i32, add_u8, add_bool};
    return adds[dtype];
}

/* ---- whole views -------------------------------------------------------------------------------------------------- */

static char *element(const fg_view *v, int64_t offset) { return (char *)v->data + offset * fg_itemsize[v->dtype]; }

/* The axis along which `from` is dense while the last one, dense in `to`, strides over it: -1 if there is none. Such a
 * copy runs in blocks that fit the first-level cache, else every element read would fetch a line of its own. */
static int crossed_axis(const fg_iter *it) {
    if (it->step[0] != 1 || it->step[1] < 2) return -1;
    for (int a = 0; a < it->ndim - 1; a++)
        if (it->stride[1][a] == 1) return a;
    return -1;
}

static void copy_crossed(const fg_view *to, const fg_view *from, fg_iter *it, int axis, fg_run run) {
    enum { BLOCK = 32 };
    int64_t rows = it->shape[axis], across = it->stride[0][axis];
    int64_t outer = it->runs / rows;
    it->shape[axis] = 1; /* the block walks this axis itself */
    for (int64_t k = 0; k < outer; k++, fg_iter_next(it))
        for (int64_t i = 0; i < rows; i += BLOCK)
            for (int64_t j = 0; j < it->len; j += BLOCK) {
                int64_t last = rows - i < BLOCK ? rows : i + BLOCK, n = it->len - j < BLOCK ? it->len - j : BLOCK;
                for (int64_t r = i; r < last; r++)
                    run(n, element(to, it->at[0] + r * across + j), 1, element(from, it->at[1] + r + j * it->step[1]),
                        it->step[1]);
            }
}

void fg_copy(const fg_view *to, const fg_view *from) {
    fg_run run = fg_move(to->dtype, from->dtype);
    if (FG_LIKELY(to->lay->flags & from->lay->flags & FG_DENSE) && to->lay->size == from->lay->size) {
        run(to->lay->size, to->data, 1, from->data, 1);
        return;
    }
    fg_iter it;
    const fg_view both[2] = {*to, *from};
    fg_iter_init(&it, to->lay, 2, both);
    int axis = it.runs ? crossed_axis(&it) : -1;
    if (axis >= 0) {
        copy_crossed(to, from, &it, axis, run);
        return;
    }
    for (int64_t k = 0; k < it.runs; k++, fg_iter_next(&it))
        run(it.len, element(to, it.at[0]), it.step[0], element(from, it.at[1]), it.step[1]);
}

/* ---- kernels ------------------------------------------------------------------------------------------------------ */

/* copy, cast: y, then x as the last input; x broadcasts to y and is cast to y's dtype. */
static int copy(fg_call *c) {
    fg_copy(c->v, c->v + c->nout + c->nin - 1);
    return FG_OK;
}

/* cat along attrs.axis: y, then any number of inputs. */
static int cat(fg_call *c) {
    const fg_view *y = c->v;
    int axis = c->attrs->axis;
    int64_t done = 0;
    for (int k = 1; k <= c->nin; k++) {
        const fg_layout *x = c->v[k].lay;
        if (x->size == 0) continue; /* also an empty vector beside tensors of more axes */
        fg_layout part = *y->lay;
        part.shape[axis] = x->shape[axis];
        part.size = x->size;
        part.flags = axis == 0 ? FG_DENSE : 0;
        fg_view to = {element(y, done * y->lay->stride[axis]), &part, y->dtype};
        fg_copy(&to, c->v + k);
        done += x->shape[axis];
    }
    return FG_OK;
}

#define ALL(k) {k, k, k, k, k, k}
const fg_entry fg_copy_entries[] = {{"copy", ALL(copy)}, {"cast", ALL(copy)}, {"cat", ALL(cat)}, {NULL, {NULL}}};
