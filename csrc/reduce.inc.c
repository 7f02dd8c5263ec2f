/* Reductions: sums, products, extremes, means, variances, norms, over any set of axes (attrs.axes, a mask).
 * The output is dense over the kept axes in their order; whether it keeps axes of size 1 is its layout's affair.
 * max_dim, min_dim, argmax and argmin need a dense input and adjacent axes; all others take any layout. */
#include "reduction.h"

/* A reduction is a map of each element, an associative operation and a finish, one line each. A map may use x, the
 * element, and c, the centre of its output (a mean, a maximum) or the parameter; an operation a and b; a finish s, the
 * total, c and p, the parameter. */
#define MAP(name, expr) \
    FG_ALWAYS_INLINE A FN(name)(T x, A c) { return (void)c, expr; }
#define OP(name, expr)                                               \
    FG_ALWAYS_INLINE A FN(name)(A a, A b) { return expr; }           \
    static void FN(name##_merge)(A * s, const A *t, int64_t w) {     \
        for (int64_t j = 0; j < w; j++) s[j] = FN(name)(s[j], t[j]); \
    }
#define FIN(name, expr)                                                                  \
    static void FN(name##_fin)(A * y, const A *total, const A *centre, A p, int64_t w) { \
        for (int64_t j = 0; j < w; j++) {                                                \
            A s = total[j], c = centre[j];                                               \
            (void)c, (void)p;                                                            \
            y[j] = expr;                                                                 \
        }                                                                                \
    }
#define KIND(name, init, map, op, fin)                                                                      \
    static A FN(name##_run)(const T *x, int64_t n, A c) { return FN(run)(x, n, c, init, FN(map), FN(op)); } \
    static void FN(name##_rows)(A * s, const T *x, int64_t rows, int64_t step, int64_t w, const A *c) {     \
        FN(rows)(s, x, rows, step, w, c, FN(map), FN(op));                                                  \
    }                                                                                                       \
    static const FN(kind) FN(name) = {init, FN(name##_run), FN(name##_rows), FN(op##_merge), FN(fin##_fin)};
#define REDUCTION(name, kind)                                                       \
    static int FN(name)(fg_call * call) {                                           \
        const fg_view *v = call->v;                                                 \
        return FN(reduce)(&v[1], call->attrs->axes, v[0].data, NULL, 0, &FN(kind)); \
    }

#define IS_NAN(x) ((x) != (x))

#define T float
#define A float
#define FN(name) FG_SET(reduce_##name##_f32)
#include "reduce_type.h"
#include "reduce_real.h"
#include "extreme_type.h"
#undef T
#undef A
#undef FN

#define T double
#define A double
#define FN(name) FG_SET(reduce_##name##_f64)
#include "reduce_type.h"
#include "reduce_real.h"
#include "extreme_type.h"
#undef T
#undef A
#undef FN

#undef IS_NAN

#if FG_BASELINE

#define IS_NAN(x) 0

#define T int64_t
#define A int64_t
#define FN(name) FG_SET(reduce_##name##_i64)
#include "reduce_type.h"
#include "reduce_int.h"
KIND(greatest, INT64_MIN, self, greater, keep)
KIND(least, INT64_MAX, self, less, keep)
#include "extreme_type.h"
REDUCTION(amax, greatest)
REDUCTION(amin, least)
KIND(add, 0, self, plus, keep)
KIND(multiply, 1, self, times, keep)
REDUCTION(sum, add)
REDUCTION(prod, multiply)
#undef T
#undef A
#undef FN

#define T int32_t
#define A int32_t
#define FN(name) FG_SET(reduce_##name##_i32)
#include "reduce_type.h"
#include "reduce_int.h"
KIND(greatest, INT32_MIN, self, greater, keep)
KIND(least, INT32_MAX, self, less, keep)
#include "extreme_type.h"
REDUCTION(amax, greatest)
REDUCTION(amin, least)
#undef T
#undef A
#undef FN

#define T uint8_t
#define A uint8_t
#define FN(name) FG_SET(reduce_##name##_u8)
#include "reduce_type.h"
#include "reduce_int.h"
KIND(greatest, 0, self, greater, keep)
KIND(least, UINT8_MAX, self, less, keep)
#include "extreme_type.h"
REDUCTION(amax, greatest)
REDUCTION(amin, least)
KIND(either, 0, nonzero, greater, keep)
KIND(both, 1, nonzero, less, keep)
REDUCTION(any, either)
REDUCTION(all, both)
#undef T
#undef A
#undef FN

/* Sums and products of narrow integers are int64. */
#define T int32_t
#define A int64_t
#define FN(name) FG_SET(reduce_##name##_i32_i64)
#include "reduce_type.h"
#include "reduce_int.h"
KIND(add, 0, self, plus, keep)
KIND(multiply, 1, self, times, keep)
REDUCTION(sum, add)
REDUCTION(prod, multiply)
#undef T
#undef A
#undef FN

#define T uint8_t
#define A int64_t
#define FN(name) FG_SET(reduce_##name##_u8_i64)
#include "reduce_type.h"
#include "reduce_int.h"
KIND(add, 0, self, plus, keep)
KIND(multiply, 1, self, times, keep)
REDUCTION(sum, add)
REDUCTION(prod, multiply)
#undef T
#undef A
#undef FN

#undef IS_NAN
#endif

#undef MAP
#undef OP
#undef FIN
#undef KIND
#undef REDUCTION

#define REALS(name)                                                         \
    {                                                                       \
        #name, { FG_SET(reduce_##name##_f32), FG_SET(reduce_##name##_f64) } \
    }
#define EXTREMES(name)                                                                                        \
    {                                                                                                         \
        #name, {                                                                                              \
            NULL, NULL, FG_SET(reduce_##name##_i64), FG_SET(reduce_##name##_i32), FG_SET(reduce_##name##_u8), \
                FG_SET(reduce_##name##_u8)                                                                    \
        }                                                                                                     \
    }
#define TOTALS(name)                                                                                                  \
    {                                                                                                                 \
        #name, {                                                                                                      \
            NULL, NULL, FG_SET(reduce_##name##_i64), FG_SET(reduce_##name##_i32_i64), FG_SET(reduce_##name##_u8_i64), \
                FG_SET(reduce_##name##_u8_i64)                                                                        \
        }                                                                                                             \
    }

static const fg_entry FG_SET(reduce_entries)[] = {
    REALS(sum),
    REALS(nansum),
    REALS(prod),
    REALS(amax),
    REALS(amin),
    REALS(mean),
    REALS(var),
    REALS(std),
    REALS(norm),
    REALS(logsumexp),
    REALS(max_dim),
    REALS(min_dim),
    REALS(argmax),
    REALS(argmin),
#if FG_BASELINE
    TOTALS(sum),
    TOTALS(prod),
    EXTREMES(amax),
    EXTREMES(amin),
    EXTREMES(max_dim),
    EXTREMES(min_dim),
    EXTREMES(argmax),
    EXTREMES(argmin),
    {"any", {[FG_BOOL] = FG_SET(reduce_any_u8)}},
    {"all", {[FG_BOOL] = FG_SET(reduce_all_u8)}},
#endif
    {NULL, {NULL}},
};
#undef REALS
#undef EXTREMES
#undef TOTALS
