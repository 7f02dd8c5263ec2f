/* Elementwise kernels of integers and bools: turns each line of integer.h into a function per dtype and a row. */
#include "loops.h"

/* By squaring, modulo 2^64. A negative exponent gives the real value cut to an integer: 0 but for bases 1 and -1. */
static int64_t FG_SET(power)(int64_t base, int64_t exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
    uint64_t result = 1, square = (uint64_t)base;
    for (; exponent > 0; exponent >>= 1, square *= square)
        if (exponent & 1) result *= square;
    return (int64_t)result;
}

/* Looks for a divisor of 0 before anything is written. */
#define NO_ZERO(name, T)                                                    \
    static int FG_SET(name)(fg_call * call) {                               \
        const fg_view *b = &call->v[2];                                     \
        fg_iter it;                                                         \
        fg_iter_init(&it, b->lay, 1, b);                                    \
        for (int64_t run = 0; run < it.runs; run++, fg_iter_next(&it))      \
            for (int64_t k = 0; k < it.len; k++)                            \
                if (((const T *)b->data)[it.at[0] + k * it.step[0]] == 0) { \
                    call->where = run * it.len + k;                         \
                    return FG_EDIVZERO;                                     \
                }                                                           \
        return FG_OK;                                                       \
    }
NO_ZERO(no_zero_i64, int64_t)
NO_ZERO(no_zero_i32, int32_t)
NO_ZERO(no_zero_u8, uint8_t)

#define LOOPS_INT(name, arity, expr)                                      \
    LOOP(name##_i64, int64_t, uint64_t, int64_t, LOAD_##arity, P_0, expr) \
    LOOP(name##_i32, int32_t, uint32_t, int32_t, LOAD_##arity, P_0, expr) \
    LOOP(name##_u8, uint8_t, uint8_t, uint8_t, LOAD_##arity, P_0, expr)   \
    KERNEL_##arity(name##_i64) KERNEL_##arity(name##_i32) KERNEL_##arity(name##_u8)
#define LOOPS_ALL(name, arity, load, Y64, Y32, expr)              \
    LOOP(name##_i64, int64_t, uint64_t, Y64, load, P_0, expr)     \
    LOOP(name##_i32, int32_t, uint32_t, Y32, load, P_0, expr)     \
    LOOP(name##_u8, uint8_t, uint8_t, uint8_t, load, P_0, expr)   \
    LOOP(name##_bool, uint8_t, uint8_t, uint8_t, load, P_0, expr) \
    KERNEL_##arity(name##_i64) KERNEL_##arity(name##_i32) KERNEL_##arity(name##_u8) KERNEL_##arity(name##_bool)
#define CHECKED(name, s)                                        \
    static int FG_SET(name##_checked_##s)(fg_call * call) {     \
        int code = FG_SET(no_zero_##s)(call);                   \
        return code != FG_OK ? code : FG_SET(name##_##s)(call); \
    }

#define INT LOOPS_INT
#define BOOL(name, arity, expr)                                           \
    LOOP(name##_bool, uint8_t, uint8_t, uint8_t, LOAD_##arity, P_0, expr) \
    KERNEL_##arity(name##_bool)
#define TEST(name, arity, expr) LOOPS_ALL(name, arity, LOAD_##arity, uint8_t, uint8_t, expr)
#define SELECT(name, expr) LOOPS_ALL(name, 3, LOAD_WHERE, int64_t, int32_t, expr)
#define DIVISION(name, at_minus_1, expr)                                       \
    LOOPS_INT(name, 2, (t) - 1 < 0 && b == (t) - 1 ? (t)(at_minus_1) : (expr)) \
    CHECKED(name, i64) CHECKED(name, i32) CHECKED(name, u8)
#include "integer.h"
#undef INT
#undef BOOL
#undef TEST
#undef SELECT
#undef DIVISION

#define ROW(name, i64, i32, u8, bool) {#name, {NULL, NULL, i64, i32, u8, bool}},
#define INT(name, ...) ROW(name, FG_SET(name##_i64), FG_SET(name##_i32), FG_SET(name##_u8), NULL)
#define BOOL(name, ...) ROW(name, NULL, NULL, NULL, FG_SET(name##_bool))
#define TEST(name, ...) ROW(name, FG_SET(name##_i64), FG_SET(name##_i32), FG_SET(name##_u8), FG_SET(name##_bool))
#define SELECT TEST
#define DIVISION(name, ...) \
    ROW(name, FG_SET(name##_checked_i64), FG_SET(name##_checked_i32), FG_SET(name##_checked_u8), NULL)
static const fg_entry FG_SET(integer_entries)[] = {
#include "integer.h"
    {NULL},
};
#undef ROW
#undef INT
#undef BOOL
#undef TEST
#undef SELECT
#undef DIVISION
