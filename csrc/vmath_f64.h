/* float64 functions as straight-line code that loops vectorise; the same methods as in vmath_f32.h, see there.
 * Integers are only shifted logically, for most sets lack the arithmetic shift of 64-bit lanes. */
#ifndef FG_VMATH_F64_H
#define FG_VMATH_F64_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline double fg_from_bits_f64(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t fg_bits_f64(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline uint64_t fg_magnitude_f64(double x) { return fg_bits_f64(x) & UINT64_C(0x7fffffffffffffff); }

#define FG_ROUND_F64 0x1.8p52
#define FG_LOG2E_F64 0x1.71547652b82fep+0
#define FG_LN2_HI_F64 0x1.62e42fefa2p-1
#define FG_LN2_LO_F64 0x1.9ef35793c7673p-41

/* (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2; relative error of exp 2^-58. */
static inline double fg_exp_tail_f64(double r) {
    double p = 0x1.71df1ee7536cbp-19 + r * (0x1.28ae02cff2580p-22 + r * 0x1.ad8c1b03c7ad1p-26);
    p = 0x1.6c16c1845f11ep-10 + r * (0x1.a01a012c8096ep-13 + r * (0x1.a01999764d88fp-16 + r * p));
    p = 0x1.5555555550796p-5 + r * (0x1.111111112779fp-7 + r * p);
    return 0x1.000000000000ap-1 + r * (0x1.55555555554fap-3 + r * p);
}

/* y 2^n, where `shifted` holds n; in two factors, since 2^1024 and 2^-1075 are no doubles. */
static inline double fg_scale_f64(double y, double shifted) {
    uint64_t k = fg_bits_f64(shifted) - fg_bits_f64(FG_ROUND_F64) + 4096;
    uint64_t half = k >> 1;
    return y * fg_from_bits_f64((half - 2048 + 1023) << 52) * fg_from_bits_f64((k - half - 2048 + 1023) << 52);
}

static inline double fg_exp_f64(double x) { /* 1.1 ulp */
    x = x > 710 ? 710 : x;
    x = x < -746 ? -746 : x;
    double shifted = x * FG_LOG2E_F64 + FG_ROUND_F64;
    double n = shifted - FG_ROUND_F64;
    double r = x - n * FG_LN2_HI_F64 - n * FG_LN2_LO_F64;
    return fg_scale_f64(1 + (r + r * r * fg_exp_tail_f64(r)), shifted);
}

/* The same where the result and its inverse are normal numbers. */
static inline uint64_t fg_exp_limit_f64(double x) { return (void)x, UINT64_C(0x4086200000000000); } /* of 708 */
static inline double fg_exp_normal_f64(double x) {
    double shifted = x * FG_LOG2E_F64 + (FG_ROUND_F64 + 1023); /* a shift of its bits makes 2^n of it */
    double n = shifted - (FG_ROUND_F64 + 1023);
    double r = x - n * FG_LN2_HI_F64 - n * FG_LN2_LO_F64;
    return (1 + (r + r * r * fg_exp_tail_f64(r))) * fg_from_bits_f64(fg_bits_f64(shifted) << 52);
}

static inline double fg_exp_negative_f64(double x) { return fg_exp_f64(x); } /* x <= 0 */

static inline double fg_exp2_f64(double x) { /* 1.1 ulp */
    x = x > 1025 ? 1025 : x;
    x = x < -1080 ? -1080 : x;
    double shifted = x + FG_ROUND_F64;
    double r = (x - (shifted - FG_ROUND_F64)) * 0x1.62e42fefa39efp-1;
    return fg_scale_f64(1 + (r + r * r * fg_exp_tail_f64(r)), shifted);
}

/* (exp(x) - 1) / 2 for -50 <= x <= 710. */
static inline double fg_half_expm1_f64(double x) {
    double shifted = x * FG_LOG2E_F64 + FG_ROUND_F64;
    double n = shifted - FG_ROUND_F64;
    double r = x - n * FG_LN2_HI_F64 - n * FG_LN2_LO_F64;
    double p =
        0x1.71de017aca73bp-19 + r * (0x1.2802d8827022bp-22 + r * (0x1.af4f666ba5767p-26 + r * 0x1.e44cb735248cap-30));
    p = 0x1.6c16c16f2046ap-10 + r * (0x1.a01a01ac219c6p-13 + r * (0x1.a019f337434bcp-16 + r * p));
    p = 0x1.5555555554cfbp-5 + r * (0x1.1111111110072p-7 + r * p);
    p = 0.5 + r * (0x1.5555555555557p-3 + r * p);
    uint64_t k = fg_bits_f64(shifted) - fg_bits_f64(FG_ROUND_F64);
    double half = fg_from_bits_f64((k + 1022) << 52); /* 2^(n - 1) */
    return half * (r + r * r * p) + (half - 0.5);
}

static inline double fg_expm1_f64(double x) { /* 1.5 ulp */
    double y = x > 710 ? 710 : x;
    y = y < -50 ? -50 : y;
    return copysign(2 * fg_half_expm1_f64(y), x);
}

static inline double fg_tanh_f64(double x) { /* 1.5 ulp */
    double y = fabs(x);
    y = y > 20 ? 20 : y;
    double half = fg_half_expm1_f64(2 * y);
    return copysign(half / (half + 1), x);
}

static inline double fg_sigmoid_f64(double x) { /* 2 ulp */
    double e = fg_exp_f64(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/* x = 2^k m with sqrt(1/2) <= m < sqrt(2): k and f = m - 1. */
static inline double fg_split_f64(double x, double *k) {
    int small = x < 0x1p-1022;
    uint64_t bits = fg_bits_f64(small ? x * 0x1p52 : x) + (UINT64_C(1024) << 52) - UINT64_C(0x3fe6a09e667f3bcd);
    uint64_t exponent = (bits >> 52) + fg_bits_f64(FG_ROUND_F64); /* + 1024: the sum stays positive */
    *k = fg_from_bits_f64(exponent) - FG_ROUND_F64 - (small ? 1076.0 : 1024.0);
    return fg_from_bits_f64((bits & UINT64_C(0xfffffffffffff)) + UINT64_C(0x3fe6a09e667f3bcd)) - 1;
}

/* log(1 + f) - f, from s = f / (2 + f): log(1 + f) = 2 s + s R(s^2); error 2^-59 of log(1 + f). */
static inline double fg_log_tail_f64(double f) {
    double s = f / (2 + f), z = s * s, square = 0.5 * f * f;
    double p = 0x1.74664b381ebd6p-3 + z * (0x1.39a06bd04fdebp-3 + z * 0x1.2f13387e80601p-3);
    p = 0x1.999999997f973p-2 + z * (0x1.2492494232541p-2 + z * (0x1.c71c51d0c63adp-3 + z * p));
    p = z * (0x1.5555555555593p-1 + z * p);
    return s * (square + p) - square;
}

static inline double fg_log_edges_f64(double x, double y) {
    double edge = x == 0 ? -INFINITY : x < 0 ? NAN : x;
    return (x > 0) & (x < INFINITY) ? y : edge;
}

static inline double fg_log_f64(double x) { /* 1 ulp */
    double k, f = fg_split_f64(x, &k);
    return fg_log_edges_f64(x, (fg_log_tail_f64(f) + k * FG_LN2_LO_F64 + f) + k * FG_LN2_HI_F64);
}

/* The same for a normal number. */
static inline uint64_t fg_above_normal_f64(double x) { return fg_bits_f64(x) - UINT64_C(0x10000000000000); }
static inline uint64_t fg_log_limit_f64(double x) { return (void)x, UINT64_C(0x7fe0000000000000); }
static inline double fg_log_normal_f64(double x) {
    uint64_t bits = fg_bits_f64(x) + (UINT64_C(1024) << 52) - UINT64_C(0x3fe6a09e667f3bcd);
    double k = fg_from_bits_f64((bits >> 52) + fg_bits_f64(FG_ROUND_F64)) - (FG_ROUND_F64 + 1024);
    double f = fg_from_bits_f64((bits & UINT64_C(0xfffffffffffff)) + UINT64_C(0x3fe6a09e667f3bcd)) - 1;
    return (fg_log_tail_f64(f) + k * FG_LN2_LO_F64 + f) + k * FG_LN2_HI_F64;
}

static inline double fg_log2_f64(double x) { /* 2 ulp; exact at powers of 2 */
    double k, f = fg_split_f64(x, &k);
    return fg_log_edges_f64(x, (f + fg_log_tail_f64(f)) * FG_LOG2E_F64 + k);
}

static inline double fg_log10_f64(double x) { /* 2 ulp */
    double k, f = fg_split_f64(x, &k);
    double y = (f + fg_log_tail_f64(f)) * 0x1.bcb7b1526e50ep-2 + k * 0x1.9fef311f12b36p-42;
    return fg_log_edges_f64(x, y + k * 0x1.34413509f6p-2);
}

static inline double fg_log1p_f64(double x) { /* 1.5 ulp */
    double u = 1 + x, lost = u - x;
    lost = (u < 2 ? x - (u - 1) : 1 - lost) / u;
    double k, f = fg_split_f64(u, &k);
    double y = (fg_log_tail_f64(f) + (lost + k * FG_LN2_LO_F64) + f) + k * FG_LN2_HI_F64;
    y = fg_log_edges_f64(u, y);
    return x == 0 ? x : y;
}

static inline double fg_log1p_unit_f64(double u) { return fg_log1p_f64(u); } /* 0 <= u <= 1 */

/* x - n * pi/2 for |x| < 1.6e6, and the low bits of n. */
static inline uint64_t fg_quadrants_limit_f64(double x) { return (void)x, UINT64_C(0x41386a0000000000); } /* of 1.6e6 */
static inline double fg_quadrant_f64(double x, uint64_t *n) {
    double shifted = x * 0x1.45f306dc9c883p-1 + FG_ROUND_F64;
    double k = shifted - FG_ROUND_F64;
    *n = fg_bits_f64(shifted);
    return x - k * 0x1.921fb544p+0 - k * 0x1.0b4611a6p-34 - k * 0x1.3198a2e037073p-69;
}

static inline double fg_sin_cos_f64(double r, uint64_t quadrant) {
    double z = r * r;
    double s = 0x1.71de355d957c8p-19 + z * (-0x1.ae5e524d0ae7cp-26 + z * 0x1.5d8d5aacdfd9dp-33);
    s = -0x1.5555555555548p-3 + z * (0x1.111111110f778p-7 + z * (-0x1.a01a019bf283ap-13 + z * s));
    s = r + r * z * s;
    double c = -0x1.27e4f7e3565bap-22 + z * (0x1.1ee9d288e5f3cp-29 + z * -0x1.8fa1dd1703754p-37);
    c = 0x1.555555555554bp-5 + z * (-0x1.6c16c16c14f2dp-10 + z * (0x1.a01a019c7a478p-16 + z * c));
    c = 1 - 0.5 * z + z * z * c;
    s = z == 0 ? r : s;
    return fg_from_bits_f64(fg_bits_f64(quadrant & 1 ? c : s) ^ (quadrant & 2) << 62);
}

static inline double fg_sin_f64(double x) { /* 1.5 ulp */
    uint64_t n;
    double r = fg_quadrant_f64(x, &n);
    return fg_sin_cos_f64(r, n);
}

static inline double fg_cos_f64(double x) { /* 1.5 ulp */
    uint64_t n;
    double r = fg_quadrant_f64(x, &n);
    return fg_sin_cos_f64(r, n + 1);
}

/* erf and erfc of the C library: 1 ulp, and rarely used at this precision. */
static inline double fg_erf_f64(double x) { return erf(x); }
static inline double fg_erfc_f64(double x) { return erfc(x); }
static inline double fg_normal_cdf_f64(double x) { return 0.5 * erfc(x * -0x1.6a09e667f3bcdp-1); }
static inline double fg_gelu_f64(double x) { return x * fg_normal_cdf_f64(x); }
static inline double fg_normal_f64(double x, double *slope) { /* the function, and x times its derivative */
    double y = fabs(x) > 40 ? copysign(40, x) : x;
    *slope = y * 0x1.9884533d43651p-2 * fg_exp_f64(y * y * -0.5);
    return fg_normal_cdf_f64(x);
}

#endif
