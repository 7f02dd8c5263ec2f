/* Elementwise kernels of floats: turns each line of elementwise.h into a function per dtype and a row of the table. */
#include "loops.h"
#include "vmath.h"

#define FLOATS(name, arity, Y32, Y64, load, params, expr)         \
    LOOP(name##_f32, float, float, Y32, load, P_##params, expr)   \
    LOOP(name##_f64, double, double, Y64, load, P_##params, expr) \
    KERNEL_##arity(name##_f32) KERNEL_##arity(name##_f64)

#define UNARY(name, params, expr) FLOATS(name, 1, float, double, LOAD_1, params, expr)
#define BINARY(name, params, expr) FLOATS(name, 2, float, double, LOAD_2, params, expr)
#define TERNARY(name, params, expr) FLOATS(name, 3, float, double, LOAD_3, params, expr)
#define TEST(name, arity, expr) FLOATS(name, arity, uint8_t, uint8_t, LOAD_##arity, 0, expr)
#define SELECT(name, expr) FLOATS(name, 3, float, double, LOAD_WHERE, 0, expr)
#define ARITHMETIC(name, expr)             \
    ARITHMETIC_OF(name##_f32, float, expr) \
    ARITHMETIC_OF(name##_f64, double, expr)
#define ARITHMETIC_OF(name, T, expr)                                                                                 \
    LOOP(name, T, T, T, LOAD_2, P_0, expr)                                                                           \
    LOOP(name##_number_1, T, T, T, LOAD_NUMBER_1, P_0, expr)                                                         \
    LOOP(name##_number_2, T, T, T, LOAD_NUMBER_2, P_0, expr)                                                         \
    static int FG_SET(name)(fg_call * call) {                                                                        \
        const fg_view *v = call->v;                                                                                  \
        const fg_layout *o = v[0].lay;                                                                               \
        void *y = v[0].data, *x0 = v[1].data, *x1 = v[2].data;                                                       \
        if (!FG_LIKELY(o->flags & FG_DENSE)) return fg_broadcast(call, FG_SET(name##_loop));                         \
        if (FG_LIKELY(v[1].lay == o && v[2].lay == o)) FG_SET(name##_loop)(o->size, y, x0, x1, NULL, NULL);          \
        else if (v[1].lay == o && v[2].lay->size == 1) FG_SET(name##_number_2_loop)(o->size, y, x0, x1, NULL, NULL); \
        else if (v[2].lay == o && v[1].lay->size == 1) FG_SET(name##_number_1_loop)(o->size, y, x0, x1, NULL, NULL); \
        else return fg_broadcast(call, FG_SET(name##_loop));                                                         \
        return FG_OK;                                                                                                \
    }
#define POWER(name, arity, ...)                     \
    POWER_OF(name##_f32, float, arity, __VA_ARGS__) \
    POWER_OF(name##_f64, double, arity, __VA_ARGS__)
#define POWER_OF(name, T, arity, general, one, two, three, half)            \
    LOOP(name, T, T, T, LOAD_##arity, P_0, general)                         \
    LOOP(name##_one, T, T, T, LOAD_##arity, P_0, one)                       \
    LOOP(name##_two, T, T, T, LOAD_##arity, P_0, two)                       \
    LOOP(name##_three, T, T, T, LOAD_##arity, P_0, three)                   \
    LOOP(name##_half, T, T, T, LOAD_##arity, P_0, half)                     \
    static int FG_SET(name)(fg_call * call) {                               \
        const fg_view *exponent = &call->v[arity];                          \
        T e = exponent->lay->size == 1 ? *(const T *)exponent->data : 0;    \
        return fg_broadcast(call, e == 1        ? FG_SET(name##_one_loop)   \
                                  : e == 2      ? FG_SET(name##_two_loop)   \
                                  : e == 3      ? FG_SET(name##_three_loop) \
                                  : e == (T)0.5 ? FG_SET(name##_half_loop)  \
                                                : FG_SET(name##_loop));     \
    }
enum { FG_SET(BLOCK) = 256 };
#define WITHIN(name, ...)                               \
    WITHIN_OF(name##_f32, float, uint32_t, __VA_ARGS__) \
    WITHIN_OF(name##_f64, double, uint64_t, __VA_ARGS__)
#define WITHIN_OF(name, T, U, measure, limit, value, otherwise)                                                      \
    LOOP(name##_within, T, T, T, LOAD_1, P_0, value)                                                                 \
    LOOP(name##_anywhere, T, T, T, LOAD_1, P_0, otherwise)                                                           \
    static void FG_SET(name##_loop)(int64_t n, void *py, const void *pa, const void *pb, const void *pc,             \
                                    const fg_attrs *at) {                                                            \
        typedef T t;                                                                                                 \
        for (int64_t start = 0; start < n; start += FG_SET(BLOCK)) {                                                 \
            const T *x = (const T *)pa + start;                                                                      \
            int64_t size = n - start < FG_SET(BLOCK) ? n - start : FG_SET(BLOCK);                                    \
            U most = 0; /* the maximum of integers is one instruction, that of floats with their NaN is not */       \
            for (int64_t i = 0; i < size; i++) {                                                                     \
                const T a = x[i];                                                                                    \
                most = (measure) > most ? (measure) : most;                                                          \
            }                                                                                                        \
            (most < limit ? FG_SET(name##_within_loop) : FG_SET(name##_anywhere_loop))(size, (T *)py + start, x, pb, \
                                                                                       pc, at);                      \
        }                                                                                                            \
    }                                                                                                                \
    KERNEL_1(name)
#include "elementwise.h"
#undef UNARY
#undef BINARY
#undef TERNARY
#undef TEST
#undef SELECT
#undef POWER
#undef ARITHMETIC
#undef WITHIN

#define ROW(name, ...) {#name, {FG_SET(name##_f32), FG_SET(name##_f64)}},
#define UNARY ROW
#define BINARY ROW
#define TERNARY ROW
#define TEST ROW
#define SELECT ROW
#define POWER ROW
#define ARITHMETIC ROW
#define WITHIN ROW
static const fg_entry FG_SET(elementwise_entries)[] = {
#include "elementwise.h"
    {NULL},
};
#undef ROW
#undef UNARY
#undef BINARY
#undef TERNARY
#undef TEST
#undef SELECT
#undef POWER
#undef ARITHMETIC
#undef WITHIN
