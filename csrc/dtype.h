/* Dtypes: sizes, categories and promotion, as PyTorch promotes. */
#ifndef FG_DTYPE_H
#define FG_DTYPE_H

#include "fg.h"

static const int64_t fg_itemsize[FG_NDTYPES] = {4, 8, 8, 4, 1, 1};
static const int fg_category[FG_NDTYPES] = {2, 2, 1, 1, 1, 0}; /* bool < integer < real */

static inline int fg_is_real(int dtype) { return dtype <= FG_F64; }

/* Both operands of the same standing (both with axes, or both without). */
static inline int fg_promote(int a, int b) {
    if (a == b) return a;
    if (fg_category[a] != fg_category[b]) return fg_category[a] > fg_category[b] ? a : b;
    /* within the reals: float64 wins; within the integers: the wider one, and they are listed widest first */
    if (fg_is_real(a)) return FG_F64;
    return a < b ? a : b;
}

/* `higher` has axes, `lower` has none: the lower one counts only if its category is higher. -1 = none. */
static inline int fg_promote_standing(int higher, int lower) {
    if (higher < 0) return lower;
    if (lower < 0) return higher;
    return fg_category[lower] > fg_category[higher] ? lower : higher;
}

#endif
