/* float32 functions as straight-line code that loops vectorise, and their bounds in ulp (measured over every 401st float, in every set; an ulp is
 * that of the correctly rounded result).
 *
 * Polynomials are minimax fits of the stated function over the stated interval; constants that end in _HI have so many
 * trailing zero bits that their products with the exponent are exact without a fused multiply-add.
 * Whether a*b + c is fused depends on the set: the bounds hold for both, the last bit may differ. */
#ifndef FG_VMATH_F32_H
#define FG_VMATH_F32_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float fg_from_bits_f32(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t fg_bits_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Of the order of |x|, with infinity and then NaN behind all numbers: the largest of a block tells whether one is far out. */
static inline uint32_t fg_magnitude_f32(float x) { return fg_bits_f32(x) & 0x7fffffffu; }

/* Bounds as comparisons of bits, one instruction each, where `x < m ? m : x` takes two to seven since NaN must come through. Here
 * it does not: a NaN may become the bound. m >= 0 for the upper bound, m < 0 for the lower. */
static inline float fg_at_most_f32(float x, float m) {
    int32_t bits = (int32_t)fg_bits_f32(x), most = (int32_t)fg_bits_f32(m);
    return fg_from_bits_f32((uint32_t)(bits < most ? bits : most));
}

static inline float fg_at_least_f32(float x, float m) {
    uint32_t bits = fg_bits_f32(x), most = fg_bits_f32(m);
    return fg_from_bits_f32(bits < most ? bits : most);
}

/* y, or NaN where x is. */
static inline float fg_nan_of_f32(float x, float y) { return fg_from_bits_f32(fg_bits_f32(y) | -(uint32_t)(x != x)); }

/* x + 1.5 * 2^23 holds x rounded to an integer in its low bits; half to even, like rint, but without a call. */
#define FG_ROUND_F32 0x1.8p23f
#define FG_LOG2E_F32 0x1.715476p+0f
#define FG_LN2_HI_F32 0x1.62e4p-1f
#define FG_LN2_LO_F32 0x1.7f7d1cp-20f

/* (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2; relative error of exp 2^-28. */
static inline float fg_exp_tail_f32(float r) {
    return 0x1.fffffcp-2f + r * (0x1.555490p-3f + r * (0x1.5558eap-5f + r * (0x1.123aaep-7f + r * 0x1.6a2e02p-10f)));
}

/* exp(x - d) / 2^n for a small d that x cannot hold; `shifted` becomes n + round. 0.7 to 1.5. What the last sum rounds off could be
 * added to the tail, for 0.8 ulp instead of 0.9: 4 instructions more than these 12, and a quarter of the time. */
static inline float fg_exp_mantissa_f32(float x, float d, float round, float *shifted) {
    *shifted = x * FG_LOG2E_F32 + round;
    float n = *shifted - round;
    float r = x - n * FG_LN2_HI_F32 - n * FG_LN2_LO_F32 - d;
    return 1 + r * (1 + r * fg_exp_tail_f32(r));
}

/* A shift of `shifted` by 23 bits makes 2^n of it where n + 127 has been added to FG_ROUND. */
static inline float fg_power_of_2_f32(float shifted) { return fg_from_bits_f32(fg_bits_f32(shifted) << 23); }

static inline float
fg_exp_f32(float x) { /* 0.9 ulp, 1.2 where nothing is fused; overflow and denormal results are right */
    x = x > 89 ? 89 : x;
    x = x < -104 ? -104 : x;
    float shifted, y = fg_exp_mantissa_f32(x, 0, FG_ROUND_F32, &shifted);
    /* 2^n in two factors, since 2^128 and 2^-150 are no floats */
    int32_t k = (int32_t)(fg_bits_f32(shifted) - fg_bits_f32(FG_ROUND_F32));
    int32_t half = k >> 1;
    return y * fg_from_bits_f32((uint32_t)(half + 127) << 23) * fg_from_bits_f32((uint32_t)(k - half + 127) << 23);
}

/* The same where the result and its inverse are normal numbers. */
static inline uint32_t fg_exp_limit_f32(float x) { return (void)x, 0x42ae0000u; } /* the magnitude of 87 */
static inline float fg_exp_normal_f32(float x) {
    float shifted, y = fg_exp_mantissa_f32(x, 0, FG_ROUND_F32 + 127, &shifted);
    return y * fg_power_of_2_f32(shifted);
}

/* exp(x) for x <= 0: 2^n as 2^(n + 64) 2^-64, so that denormal results are right. */
static inline float fg_exp_negative_f32(float x) {
    float shifted, y = fg_exp_mantissa_f32(x < -104 ? -104 : x, 0, FG_ROUND_F32 + 191, &shifted);
    return y * fg_power_of_2_f32(shifted) * 0x1p-64f;
}

static inline float fg_exp2_f32(float x) { /* 1.1 ulp */
    x = x > 129 ? 129 : x;
    x = x < -151 ? -151 : x;
    float shifted = x + FG_ROUND_F32;
    float r = (x - (shifted - FG_ROUND_F32)) * 0x1.62e430p-1f;
    float y = 1 + (r + r * r * fg_exp_tail_f32(r));
    int32_t k = (int32_t)(fg_bits_f32(shifted) - fg_bits_f32(FG_ROUND_F32));
    int32_t half = k >> 1;
    return y * fg_from_bits_f32((uint32_t)(half + 127) << 23) * fg_from_bits_f32((uint32_t)(k - half + 127) << 23);
}

/* (exp(x) - 1) / 2 for -25 <= x <= 89: half of it, so that 2^128 is not needed. */
static inline float fg_half_expm1_f32(float x) {
    float shifted = x * FG_LOG2E_F32 + (FG_ROUND_F32 + 126);
    float n = shifted - (FG_ROUND_F32 + 126);
    float r = x - n * FG_LN2_HI_F32 - n * FG_LN2_LO_F32;
    float tail = 0.5f + r * (0x1.5554dcp-3f + r * (0x1.5554b2p-5f + r * (0x1.120c14p-7f + r * 0x1.6d7e46p-10f)));
    float half = fg_power_of_2_f32(shifted); /* 2^(n - 1) */
    return half * (r + r * r * tail) + (half - 0.5f);
}

static inline float fg_expm1_f32(float x) { /* 1.8 ulp */
    float y = x > 89 ? 89 : x;
    y = y < -25 ? -25 : y;
    return copysignf(2 * fg_half_expm1_f32(y), x); /* -0 stays -0 */
}

/* x + x^3 p(x^2) below 0.65, 1 - 2 / (e^2x + 1) above, where the rounding of the quotient weighs little. 1.3 ulp
 * Rejected: expm1(2x) / (expm1(2x) + 2) for all x, 0.8 of the time and 2.4 ulp; e^2x to the fifth degree, 1.8 ulp. */
static inline float fg_tanh_f32(float x) {
    float y = fabsf(x), z = x * x;
    float p = 0x1.1103eap-3f + z * (-0x1.b7ceep-5f + z * (0x1.4f5834p-6f + z * -0x1.6953fep-8f));
    float small = y + y * z * (-0x1.555524p-2f + z * p);
    float w = fg_at_most_f32(y, 9.02f); /* 1 from here on */
    float shifted = w * (2 * FG_LOG2E_F32) + (FG_ROUND_F32 + 126);
    float n = shifted - (FG_ROUND_F32 + 126);
    float r = w - n * 0x1.62e430p-2f; /* half the remainder: its error, too, weighs little */
    float half = fg_power_of_2_f32(shifted); /* 2^(n - 1) */
    float e = 0x1.fffffcp+0f + r * (0x1.555490p+0f + r * (0x1.5558eap-1f + r * (0x1.123aaep-2f + r * 0x1.6a2e02p-4f)));
    float large = 1 - 1 / (half * (1 + r * (2 + r * e)) + 0.5f);
    return copysignf(y >= 0.65f ? large : small, x); /* NaN is small */
}

/* 1 / (1 + s p) with e^-x = s p, s a power of 2. Of 1 + s + s (p - 1) the first sum's error is found and the last is one
 * rounding, which the quotient can double: 1.8 ulp. All is scaled by 2^-40, so that nothing but the result can be denormal. */
static inline float fg_sigmoid_f32(float x) {
    float y = fg_at_least_f32(fg_at_most_f32(x, 40), -104);
    float shifted = y * -FG_LOG2E_F32 + (FG_ROUND_F32 + 87);
    float n = shifted - (FG_ROUND_F32 + 87);
    float r = y + n * FG_LN2_HI_F32 + n * FG_LN2_LO_F32; /* exp(-r) is p */
    float s = fg_power_of_2_f32(shifted); /* 2^(n - 40) */
    float q = 1 - r * fg_exp_tail_f32(-r); /* (1 - p) / r */
    float sum = 0x1p-40f + s, lost = 0x1p-40f - (sum - s);
    return fg_nan_of_f32(x, 0x1p-40f / (sum + (lost - s * (r * q))));
}

/* x = 2^k m with sqrt(1/2) <= m < sqrt(2): k and f = m - 1. Denormals are scaled up first. */
static inline float fg_split_f32(float x, float *k) {
    int small = x < 0x1p-126f;
    uint32_t bits = fg_bits_f32(small ? x * 0x1p23f : x) - 0x3f3504f3u;
    *k = (float)((int32_t)bits >> 23) - (small ? 23.0f : 0.0f);
    return fg_from_bits_f32((bits & 0x7fffffu) + 0x3f3504f3u) - 1;
}

/* log(1 + f) - f for sqrt(1/2) - 1 <= f <= sqrt(2) - 1; error 2^-27 of log(1 + f). */
static inline float fg_log_tail_f32(float f) {
    float p = 0x1.22dad2p-3f + f * (-0x1.0d96fap-3f + f * (0x1.055ecep-3f + f * -0x1.385a3cp-4f));
    p = -0x1.00022cp-2f + f * (0x1.999ff4p-3f + f * (-0x1.5470a8p-3f + f * p));
    return f * f * (f * (0x1.555554p-2f + f * p) - 0.5f);
}

/* A logarithm y of x > 0, finite, or its value elsewhere. */
static inline float fg_log_edges_f32(float x, float y) {
    float edge = x == 0 ? -INFINITY : x < 0 ? NAN : x;
    return (x > 0) & (x < INFINITY) ? y : edge;
}

static inline float fg_log_f32(float x) { /* 1 ulp */
    float k, f = fg_split_f32(x, &k);
    return fg_log_edges_f32(x, (fg_log_tail_f32(f) + k * FG_LN2_LO_F32 + f) + k * FG_LN2_HI_F32);
}

/* The same for a normal number. */
static inline uint32_t fg_above_normal_f32(float x) {
    return fg_bits_f32(x) - 0x800000u;
} /* large, too, where x is less */
static inline uint32_t fg_log_limit_f32(float x) { return (void)x, 0x7f000000u; } /* of infinity */
static inline float fg_log_normal_f32(float x) {
    uint32_t bits = fg_bits_f32(x) - 0x3f3504f3u;
    float k = (float)((int32_t)bits >> 23), f = fg_from_bits_f32((bits & 0x7fffffu) + 0x3f3504f3u) - 1;
    return (fg_log_tail_f32(f) + k * FG_LN2_LO_F32 + f) + k * FG_LN2_HI_F32;
}

static inline float fg_log2_f32(float x) { /* 2 ulp; exact at powers of 2 */
    float k, f = fg_split_f32(x, &k);
    return fg_log_edges_f32(x, (f + fg_log_tail_f32(f)) * FG_LOG2E_F32 + k);
}

static inline float fg_log10_f32(float x) { /* 2 ulp */
    float k, f = fg_split_f32(x, &k);
    float y = (f + fg_log_tail_f32(f)) * 0x1.bcb7b2p-2f + k * 0x1.3509f8p-18f;
    return fg_log_edges_f32(x, y + k * 0x1.344p-2f);
}

static inline float fg_log1p_f32(float x) { /* log of u = 1 + x, plus what the sum lost over u; 1 ulp */
    float u = 1 + x, lost = u - x;
    lost = (u < 2 ? x - (u - 1) : 1 - lost) / u;
    float k, f = fg_split_f32(u, &k);
    float y = (fg_log_tail_f32(f) + (lost + k * FG_LN2_LO_F32) + f) + k * FG_LN2_HI_F32;
    y = fg_log_edges_f32(u, y);
    return x == 0 ? x : y; /* -0 stays -0 */
}

/* log(1 + u) for 0 <= u <= 1 as u - s (u - z P(z)) with s = u / (2 + u), z = s^2; 1.4 ulp. */
static inline float fg_log1p_unit_f32(float u) {
    float s = u / (2 + u), z = s * s;
    float p = 0x1.9998d2p-2f + z * (0x1.24c9c2p-2f + z * (0x1.bc7b44p-3f + z * 0x1.dbf2aep-3f));
    return u - s * (u - z * (0x1.555556p-1f + z * p));
}

/* x - n * pi/2 for |x| < 12800, and the low bits of n. pi/2 in four parts, so that the first three products
 * are exact. */
static inline uint32_t fg_quadrants_limit_f32(float x) { return (void)x, 0x46480000u; } /* the magnitude of 12800 */
static inline float fg_quadrant_f32(float x, uint32_t *n) {
    float shifted = x * 0x1.45f306p-1f + FG_ROUND_F32;
    float k = shifted - FG_ROUND_F32;
    *n = fg_bits_f32(shifted);
    return x - k * 0x1.92p+0f - k * 0x1.fb4p-12f - k * 0x1.444p-24f - k * 0x1.68c234p-39f;
}

/* sin or cos of r, |r| <= pi/4, by the quadrant: odd ones swap them, the upper two negate. */
static inline float fg_sin_cos_f32(float r, uint32_t quadrant) {
    float z = r * r;
    float s = r + r * z * (-0x1.555556p-3f + z * (0x1.111108p-7f + z * (-0x1.a00f7p-13f + z * 0x1.6cce78p-19f)));
    float c = 1 - 0.5f * z + z * z * (0x1.555556p-5f + z * (-0x1.6c16b8p-10f + z * 0x1.a010d2p-16f));
    s = z == 0 ? r : s; /* -0 stays -0 */
    return fg_from_bits_f32(fg_bits_f32(quadrant & 1 ? c : s) ^ (quadrant & 2) << 30);
}

static inline float fg_sin_f32(float x) { /* 2.3 ulp */
    uint32_t n;
    float r = fg_quadrant_f32(x, &n);
    return fg_sin_cos_f32(r, n);
}

static inline float fg_cos_f32(float x) { /* 2.3 ulp */
    uint32_t n;
    float r = fg_quadrant_f32(x, &n);
    return fg_sin_cos_f32(r, n + 1);
}

/* 2^-64 exp(x^2 / 2) times the tail of the normal distribution beyond x, 0 <= x <= 14.4: a ratio of polynomials without a
 * negative coefficient, so that no sum cancels; relative error 2^-27. A coefficient less: 2^-23. */
static inline float fg_tail_f32(float x) {
    float p = 0x1p-65f + x * (0x1.c09abcp-66f + x * (0x1.76f46ap-67f + x * (0x1.4c72acp-69f + x * 0x1.0d447cp-72f)));
    float q = 0x1.33adf4p+0f + x * (0x1.e053dep-2f + x * (0x1.a0b03ap-4f + x * 0x1.51790ap-7f));
    return p / (1 + x * (0x1.ac8f8ep+0f + x * q));
}

/* 2^64 exp(-scale x^2), scale 1 or 1/2, where it is at least 2^64 exp(-104). The square is split, for its rounding error
 * would be magnified by its size. Scaled, for the tail takes the scale back at no cost and denormal results are right. */
static inline float fg_gauss_f32(float x, float scale) {
    float head = fg_from_bits_f32(fg_bits_f32(x) & 0xfffff000u), shifted;
    float y =
        fg_exp_mantissa_f32(-scale * (head * head), scale * ((x - head) * (x + head)), FG_ROUND_F32 + 191, &shifted);
    return y * fg_power_of_2_f32(shifted);
}

static inline float fg_erfc_f32(float x) { /* 7 ulp */
    float y = fabsf(x);
    y = y > 10.15f ? 10.15f : y; /* 0 or 2 from here on */
    float e = fg_gauss_f32(y, 1) * 2 * fg_tail_f32(y * 0x1.6a09e6p+0f);
    return x < 0 ? 2 - e : e;
}

static inline float fg_erf_f32(float x) { /* 2 ulp */
    float y = fabsf(x), z = x * x;
    y = y > 4 ? 4 : y; /* 1 from here on */
    float p = 0x1.54d9ecp-8f + z * (-0x1.aae12cp-11f + z * 0x1.5ef4f2p-14f);
    p = x + x * (0x1.06eba8p-3f + z * (-0x1.812744p-2f + z * (0x1.ce2e1ep-4f + z * (-0x1.b81064p-6f + z * p))));
    float large = copysignf(1 - fg_gauss_f32(y, 1) * 2 * fg_tail_f32(y * 0x1.6a09e6p+0f), x);
    return y < 0.92f ? p : large;
}

/* erfc(-x / sqrt(2)) / 2, 8 ulp, and x times its derivative. */
static inline float fg_normal_f32(float x, float *slope) {
    float y = fabsf(x);
    y = y > 14.4f ? 14.4f : y; /* 0 or 1 from here on */
    float gauss = fg_gauss_f32(y, 0.5f), e = gauss * fg_tail_f32(y);
    *slope = copysignf(y, x) * 0x1.988454p-66f * gauss;
    return x > 0 ? 1 - e : e;
}

/* x times the normal distribution: max(x, 0) - |x| tail, 8 ulp */
static inline float fg_gelu_f32(float x) {
    float y = fabsf(x);
    y = y > 14.4f ? 14.4f : y;
    return (x < 0 ? -0.0f : x) - y * (fg_gauss_f32(y, 0.5f) * fg_tail_f32(y));
}

#endif
