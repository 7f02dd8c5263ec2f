/* Matrix products: matmul, linear and its gradients, for reals (matmul for integers too). */
#include "blas.h"

#if defined(__has_builtin)
#define FG_SHUFFLE __has_builtin(__builtin_shufflevector)
#else
#define FG_SHUFFLE 0
#endif

#if defined(__GNUC__)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE inline
#endif

/* Called with constants, of which GCC would make a copy of the function each. */
#if defined(__GNUC__) && !defined(__clang__)
#define ONCE __attribute__((noinline, noclone))
#else
#define ONCE FG_NOINLINE
#endif

/* How a product ends, of these: its sums are added to what c holds (ADD); then to each row of them `with`, unless it is
 * NULL, and what is below 0 becomes 0 (RELU). MASK: `with` lies as c does, and where it is not above 0, c becomes 0. The
 * last two only in programs, where the call of an activation is made part of the product's (epilogue.pyx). */
enum { ADD = 1, RELU = 2, MASK = 4 };

/* A view without its last `drop` axes. */
static fg_view FG_SET(cut)(const fg_view *v, int drop, fg_layout *room) {
    *room = *v->lay;
    room->ndim = room->ndim > drop ? room->ndim - drop : 0;
    room->size = 1;
    for (int a = 0; a < room->ndim; a++) room->size *= room->shape[a];
    return (fg_view){v->data, room, v->dtype};
}

/* All axes but the last of v[0..n), which agree in them: each run is a matrix, its row stride in `step`. */
static void FG_SET(iterate_rows)(fg_iter *it, int n, const fg_view *v) {
    if (FG_LIKELY(v[0].lay->ndim == 2)) {
        it->n = n;
        it->ndim = 1;
        it->len = v[0].lay->shape[0];
        it->runs = it->len > 0;
        for (int j = 0; j < n; j++) {
            it->at[j] = 0;
            it->step[j] = v[j].lay->stride[0];
        }
        return;
    }
    fg_layout room[2];
    fg_view rows[2];
    for (int j = 0; j < n; j++) rows[j] = FG_SET(cut)(v + j, 1, room + j);
    fg_iter_init(it, rows[0].lay, n, rows);
}

/* The first `axes` axes of y over those of v[0] and v[1] before their last two. */
static void FG_SET(iterate_batch)(fg_iter *it, const fg_view *y, int axes, const fg_view *v) {
    fg_layout room[3];
    fg_view whole = FG_SET(cut)(y, y->lay->ndim - axes, room + 2);
    fg_view batch[2] = {FG_SET(cut)(v, 2, room), FG_SET(cut)(v + 1, 2, room + 1)};
    fg_iter_init(it, whole.lay, 2, batch);
}

#if defined(__clang__)
#pragma clang fp contract(fast)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=fast")
#endif

#define T float
#define ITEM 4
#define BLAS fg_blas_f32
#define FN(name) FG_SET(name##_f32)
#define ELEMENTS(name) FG_SET(name##_f32_loop) /* of elementwise.inc.c */
#include "tile.h"
#include "gemm.h"
#include "matmul.h"
#include "linear.h"
#undef T
#undef ITEM
#undef BLAS
#undef ELEMENTS
#undef FN

#define T double
#define ITEM 8
#define BLAS fg_blas_f64
#define FN(name) FG_SET(name##_f64)
#define ELEMENTS(name) FG_SET(name##_f64_loop)
#include "tile.h"
#include "gemm.h"
#include "matmul.h"
#include "linear.h"
#undef T
#undef ITEM
#undef BLAS
#undef ELEMENTS
#undef FN

#undef LANES
#undef ROWS
#undef DEPTH

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

#if FG_BASELINE
/* Integers: unsigned here, since sums of products wrap around. */
#define INTEGER_GEMM                                                                                               \
    static void FN(gemm_to_end)(int64_t m, int64_t n, int64_t k, const T *a, int64_t rsa, int64_t csa, const T *b, \
                                int64_t rsb, int64_t csb, T *c, int how, const T *with) {                          \
        (void)how, (void)with;                                                                                     \
        for (int64_t i = 0; i < m; i++) {                                                                          \
            memset(c + i * n, 0, (size_t)n * sizeof(T));                                                           \
            for (int64_t p = 0; p < k; p++)                                                                        \
                for (int64_t j = 0; j < n; j++) c[i * n + j] += (T)(a[i * rsa + p * csa] * b[p * rsb + j * csb]);  \
        }                                                                                                          \
    }

#define T uint64_t
#define FN(name) FG_SET(name##_i64)
INTEGER_GEMM
#include "matmul.h"
#undef T
#undef FN

#define T uint32_t
#define FN(name) FG_SET(name##_i32)
INTEGER_GEMM
#include "matmul.h"
#undef T
#undef FN

#define T uint8_t
#define FN(name) FG_SET(name##_u8)
INTEGER_GEMM
#include "matmul.h"
#undef T
#undef FN
#undef INTEGER_GEMM

#define INTEGERS(name) FG_SET(name##_i64), FG_SET(name##_i32), FG_SET(name##_u8)
#else
#define INTEGERS(name) NULL, NULL, NULL
#endif

/* The activation's call is part of the product's. One copy of matmul serves both. */
static ONCE int FG_SET(matmul_ended_f32)(int how, fg_call *call) { return FG_SET(matmul_of_f32)(how, call); }
static ONCE int FG_SET(matmul_ended_f64)(int how, fg_call *call) { return FG_SET(matmul_of_f64)(how, call); }
#define ENDED(name, product, how)                                                              \
    static int FG_SET(name##_f32)(fg_call * call) { return FG_SET(product##_f32)(how, call); } \
    static int FG_SET(name##_f64)(fg_call * call) { return FG_SET(product##_f64)(how, call); }
ENDED(matmul_relu, matmul_ended, RELU)
ENDED(matmul_relu_vjp, matmul_ended, MASK)
ENDED(linear_relu, linear_of, RELU)
ENDED(linear_vjp_relu_vjp, linear_vjp_of, MASK)
#undef ENDED

#define REALS(name) FG_SET(name##_f32), FG_SET(name##_f64)
static const fg_entry FG_SET(matmul_entries)[] = {
    {"matmul", {REALS(matmul), INTEGERS(matmul), NULL}},
    {"matmul_relu", {REALS(matmul_relu)}},
    {"matmul_relu_vjp", {REALS(matmul_relu_vjp)}},
    {"linear", {REALS(linear)}},
    {"linear_relu", {REALS(linear_relu)}},
    {"linear_vjp", {REALS(linear_vjp)}},
    {"linear_vjp_relu_vjp", {REALS(linear_vjp_relu_vjp)}},
    {NULL, {NULL}},
};
#undef REALS
#undef INTEGERS
