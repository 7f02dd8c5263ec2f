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
#define POWER(name, arity, ...)                    \
    POWER_OF(name##_f32, float, arity, __VA_ARGS__) \
    POWER_OF(name##_f64, double, arity, __VA_ARGS__)
#define POWER_OF(name, T, arity, general, two, three, half)                                        \
    LOOP(name, T, T, T, LOAD_##arity, P_0, general)                                                \
    LOOP(name##_two, T, T, T, LOAD_##arity, P_0, two)                                              \
    LOOP(name##_three, T, T, T, LOAD_##arity, P_0, three)                                          \
    LOOP(name##_half, T, T, T, LOAD_##arity, P_0, half)                                            \
    static int FG_SET(name)(fg_call * call) {                                                      \
        const fg_view *exponent = &call->v[arity];                                                 \
        T e = exponent->lay->size == 1 ? *(const T *)exponent->data : 0;                           \
        return fg_broadcast(call, e == 2              ? FG_SET(name##_two_loop)                    \
                                  : e == 3            ? FG_SET(name##_three_loop)                  \
                                  : e == (T)0.5       ? FG_SET(name##_half_loop)                   \
                                                      : FG_SET(name##_loop));                      \
    }
#include "elementwise.h"
#undef UNARY
#undef BINARY
#undef TERNARY
#undef TEST
#undef SELECT
#undef POWER

#define ROW(name, ...) {#name, {FG_SET(name##_f32), FG_SET(name##_f64)}},
#define UNARY ROW
#define BINARY ROW
#define TERNARY ROW
#define TEST ROW
#define SELECT ROW
#define POWER ROW
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
