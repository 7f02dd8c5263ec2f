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
#include "elementwise.h"
#undef UNARY
#undef BINARY
#undef TERNARY
#undef TEST
#undef SELECT

#define ROW(name, ...) {#name, {FG_SET(name##_f32), FG_SET(name##_f64)}},
#define UNARY ROW
#define BINARY ROW
#define TERNARY ROW
#define TEST ROW
#define SELECT ROW
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
