/* Functions of one element for the kernels: fg_NAME_f32, fg_NAME_f64, and fg_NAME for the argument's type.
 * What networks spend their time in is in vmath_f32.h and vmath_f64.h; the rest is the C library's. */
#ifndef FG_VMATH_H
#define FG_VMATH_H

#include <math.h>

#include "vmath_f32.h"
#include "vmath_f64.h"

#define FG_LIBM(name)                                                   \
    static inline float fg_##name##_f32(float x) { return name##f(x); } \
    static inline double fg_##name##_f64(double x) { return name(x); }
#define FG_LIBM_2(name)                                                             \
    static inline float fg_##name##_f32(float x, float y) { return name##f(x, y); } \
    static inline double fg_##name##_f64(double x, double y) { return name(x, y); }
FG_LIBM(fabs)
FG_LIBM(sqrt)
FG_LIBM(floor)
FG_LIBM(ceil)
FG_LIBM(rint)
FG_LIBM(trunc)
FG_LIBM(tan)
FG_LIBM(asin)
FG_LIBM(acos)
FG_LIBM(atan)
FG_LIBM(sinh)
FG_LIBM(cosh)
FG_LIBM_2(pow)
FG_LIBM_2(atan2)
FG_LIBM_2(hypot)
FG_LIBM_2(fmod)

/* sin and cos of numbers of any size; the fast ones reduce by up to so many quadrants. */
static inline float fg_any_sin_f32(float x) { return sinf(x); }
static inline float fg_any_cos_f32(float x) { return cosf(x); }
static inline double fg_any_sin_f64(double x) { return sin(x); }
static inline double fg_any_cos_f64(double x) { return cos(x); }

/* Python's division: the remainder has the divisor's sign, the quotient is rounded down. */
#define FG_DIVISION(T, s)                                                                         \
    static inline T fg_remainder_##s(T x, T y) {                                                  \
        T r = fg_fmod_##s(x, y);                                                                  \
        return (r != 0) & ((r < 0) != (y < 0)) ? r + y : r;                                       \
    }                                                                                             \
    static inline T fg_floor_divide_##s(T x, T y) {                                               \
        T r = fg_fmod_##s(x, y);                                                                  \
        T n = fg_rint_##s((x - r) / y) - ((r != 0) & ((r < 0) != (y < 0)) ? 1 : 0);               \
        return y == 0 ? x / y : n == 0 ? (T)0 * (x / y) : n; /* a zero has the quotient's sign */ \
    }
FG_DIVISION(float, f32)
FG_DIVISION(double, f64)

/* tanh(log(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2) */
#define FG_TANH_SOFTPLUS(T, s)                  \
    static inline T fg_tanh_softplus_##s(T x) { \
        T e = fg_exp_##s(x > 20 ? 20 : x);      \
        T n = e * (e + 2);                      \
        return x > 20 ? 1 : n / (n + 2);        \
    }
FG_TANH_SOFTPLUS(float, f32)
FG_TANH_SOFTPLUS(double, f64)

/* gelu's tanh form: x s(u) with the sigmoid s and u = 2 sqrt(2/pi) (x + 0.044715 x^3), and its derivative. */
#define FG_GELU_TANH(T, s)                                                                       \
    static inline T fg_gelu_gate_##s(T x) {                                                      \
        return fg_sigmoid_##s((T)1.5957691216057308 * x * (1 + (T)0.044715 * x * x));            \
    }                                                                                            \
    static inline T fg_gelu_tanh_slope_##s(T x) {                                                \
        T gate = fg_gelu_gate_##s(x), slope = (T)1.5957691216057308 * (1 + (T)0.134145 * x * x); \
        return gate + x * gate * (1 - gate) * slope;                                             \
    }
FG_GELU_TANH(float, f32)
FG_GELU_TANH(double, f64)

/* log(1 + e^x) without an exponential of a positive number, and the functions that are made of it. */
#define FG_SOFTPLUS(T, s)                                                                                           \
    static inline T fg_log1p_exp_below_##s(T x) { return fg_log1p_unit_##s(fg_exp_negative_##s(-fg_fabs_##s(x))); } \
    static inline T fg_softplus_##s(T x, T beta, T limit) {                                                         \
        T z = x * beta, y = ((z > 0 ? z : 0) + fg_log1p_exp_below_##s(z)) / beta;                                   \
        return z > limit ? x : y;                                                                                   \
    }                                                                                                               \
    static inline T fg_logsigmoid_##s(T x) { return (x < 0 ? x : 0) - fg_log1p_exp_below_##s(x); }                  \
    static inline T fg_gelu_slope_##s(T x) {                                                                        \
        T slope, cdf = fg_normal_##s(x, &slope);                                                                    \
        return cdf + slope;                                                                                         \
    }                                                                                                               \
    static inline T fg_silu_slope_##s(T x) {                                                                        \
        T y = fg_sigmoid_##s(x);                                                                                    \
        return y * (1 + x * (1 - y));                                                                               \
    }
FG_SOFTPLUS(float, f32)
FG_SOFTPLUS(double, f64)

#define FG_TYPED(name, x) _Generic((x), float: fg_##name##_f32, double: fg_##name##_f64)
#define fg_fabs(x) FG_TYPED(fabs, x)(x)
#define fg_sqrt(x) FG_TYPED(sqrt, x)(x)
#define fg_floor(x) FG_TYPED(floor, x)(x)
#define fg_ceil(x) FG_TYPED(ceil, x)(x)
#define fg_rint(x) FG_TYPED(rint, x)(x)
#define fg_trunc(x) FG_TYPED(trunc, x)(x)
#define fg_exp(x) FG_TYPED(exp, x)(x)
#define fg_magnitude(x) FG_TYPED(magnitude, x)(x)
#define fg_exp_limit(x) FG_TYPED(exp_limit, x)(x)
#define fg_exp_normal(x) FG_TYPED(exp_normal, x)(x)
#define fg_exp_negative(x) FG_TYPED(exp_negative, x)(x)
#define fg_exp2(x) FG_TYPED(exp2, x)(x)
#define fg_expm1(x) FG_TYPED(expm1, x)(x)
#define fg_log(x) FG_TYPED(log, x)(x)
#define fg_above_normal(x) FG_TYPED(above_normal, x)(x)
#define fg_log_limit(x) FG_TYPED(log_limit, x)(x)
#define fg_log_normal(x) FG_TYPED(log_normal, x)(x)
#define fg_log2(x) FG_TYPED(log2, x)(x)
#define fg_log10(x) FG_TYPED(log10, x)(x)
#define fg_log1p(x) FG_TYPED(log1p, x)(x)
#define fg_sin(x) FG_TYPED(sin, x)(x)
#define fg_cos(x) FG_TYPED(cos, x)(x)
#define fg_any_sin(x) FG_TYPED(any_sin, x)(x)
#define fg_any_cos(x) FG_TYPED(any_cos, x)(x)
#define fg_quadrants_limit(x) FG_TYPED(quadrants_limit, x)(x)
#define fg_tan(x) FG_TYPED(tan, x)(x)
#define fg_asin(x) FG_TYPED(asin, x)(x)
#define fg_acos(x) FG_TYPED(acos, x)(x)
#define fg_atan(x) FG_TYPED(atan, x)(x)
#define fg_sinh(x) FG_TYPED(sinh, x)(x)
#define fg_cosh(x) FG_TYPED(cosh, x)(x)
#define fg_tanh(x) FG_TYPED(tanh, x)(x)
#define fg_erf(x) FG_TYPED(erf, x)(x)
#define fg_erfc(x) FG_TYPED(erfc, x)(x)
#define fg_sigmoid(x) FG_TYPED(sigmoid, x)(x)
#define fg_gelu(x) FG_TYPED(gelu, x)(x)
#define fg_log1p_exp_below(x) FG_TYPED(log1p_exp_below, x)(x)
#define fg_softplus(x, beta, limit) FG_TYPED(softplus, x)(x, beta, limit)
#define fg_logsigmoid(x) FG_TYPED(logsigmoid, x)(x)
#define fg_gelu_slope(x) FG_TYPED(gelu_slope, x)(x)
#define fg_silu_slope(x) FG_TYPED(silu_slope, x)(x)
#define fg_gelu_gate(x) FG_TYPED(gelu_gate, x)(x)
#define fg_gelu_tanh_slope(x) FG_TYPED(gelu_tanh_slope, x)(x)
#define fg_tanh_softplus(x) FG_TYPED(tanh_softplus, x)(x)
#define fg_pow(x, y) FG_TYPED(pow, x)(x, y)
#define fg_atan2(x, y) FG_TYPED(atan2, x)(x, y)
#define fg_hypot(x, y) FG_TYPED(hypot, x)(x, y)
#define fg_fmod(x, y) FG_TYPED(fmod, x)(x, y)
#define fg_remainder(x, y) FG_TYPED(remainder, x)(x, y)
#define fg_floor_divide(x, y) FG_TYPED(floor_divide, x)(x, y)

#endif
