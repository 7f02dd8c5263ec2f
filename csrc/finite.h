/* Whether all of n numbers are finite: what `detect_anomaly` asks of every result. The exponents of NaN and infinity are all ones.
 * GCC makes vectors of the loops only where it is told to, in modules that are compiled for size: a quarter of the time. */
#ifndef FG_FINITE_H
#define FG_FINITE_H

#include <stdint.h>

#if defined(__GNUC__) && !defined(__clang__)
#define FG_VECTORS __attribute__((optimize("O3")))
#else
#define FG_VECTORS
#endif

FG_VECTORS static int fg_finite32(const uint32_t *x, int64_t n) {
    uint32_t odd = 0;
    for (int64_t i = 0; i < n; i++) odd |= (x[i] & 0x7F800000u) == 0x7F800000u;
    return odd == 0;
}

/* The high halves hold the exponents, and are numbers that every instruction set compares. */
FG_VECTORS static int fg_finite64(const uint64_t *x, int64_t n) {
    uint32_t odd = 0;
    for (int64_t i = 0; i < n; i++) odd |= ((uint32_t)(x[i] >> 32) & 0x7FF00000u) == 0x7FF00000u;
    return odd == 0;
}

#endif
