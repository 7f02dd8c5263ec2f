/* How a reduction walks its input: the axes that stay and the axes that go, each list merged where strides allow. */
#ifndef FG_REDUCTION_H
#define FG_REDUCTION_H

#include "fg.h"

/* In a loop of a few steps: as it is, not in vectors, whose prologue and epilogue would cost more than the loop. */
#if defined(__GNUC__)
#define FG_SHORT_LOOP __asm__ volatile("")
#else
#define FG_SHORT_LOOP (void)0
#endif

/* A function whose function arguments are known must be inlined, or nothing in it is vectorised. */
#if defined(__GNUC__)
#define FG_ALWAYS_INLINE static inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define FG_ALWAYS_INLINE static __forceinline
#else
#define FG_ALWAYS_INLINE static inline
#endif

typedef struct {
    int ndim;
    int64_t shape[FG_MAX_DIMS];
    int64_t stride[FG_MAX_DIMS];
} fg_axes;

typedef struct {
    int64_t outs;  /* elements of the output, in the row-major order of the kept axes */
    int64_t count; /* elements of the input behind each */
    fg_axes kept, gone;
} fg_reduction;

/* A position among some axes; `at` is its offset in the data. */
typedef struct {
    int64_t at;
    int64_t index[FG_MAX_DIMS];
} fg_position;

static inline void fg_axes_add(fg_axes *a, int64_t size, int64_t stride) {
    int last = a->ndim - 1;
    if (size == 1) return;
    if (last >= 0 && a->stride[last] == stride * size) {
        a->shape[last] *= size;
        a->stride[last] = stride;
        return;
    }
    a->shape[a->ndim] = size;
    a->stride[a->ndim++] = stride;
}

static inline void fg_reduction_init(fg_reduction *r, const fg_layout *x, uint32_t axes) {
    r->outs = r->count = 1;
    r->kept.ndim = r->gone.ndim = 0;
    for (int k = 0; k < x->ndim; k++) {
        int goes = axes >> k & 1;
        *(goes ? &r->count : &r->outs) *= x->shape[k];
        fg_axes_add(goes ? &r->gone : &r->kept, x->shape[k], x->stride[k]);
    }
}

static inline void fg_start(fg_position *p) { *p = (fg_position){0}; }

/* The next position in row-major order over the first `ndim` axes; 0 after the last. */
static inline int fg_advance(fg_position *p, const fg_axes *a, int ndim) {
    for (int k = ndim - 1; k >= 0; k--) {
        p->at += a->stride[k];
        if (++p->index[k] < a->shape[k]) return 1;
        p->at -= a->stride[k] * a->shape[k];
        p->index[k] = 0;
    }
    return 0;
}

/* Whether the axes hold their elements one after the other. */
static inline int fg_is_run(const fg_axes *a) { return a->ndim == 1 && a->stride[0] == 1; }

/* A dense input seen as (outer, n, inner) around the adjacent axes of a mask, or around one axis. */
typedef struct {
    int64_t outer, n, inner;
} fg_blocks;

static inline fg_blocks fg_around(const fg_layout *x, uint32_t axes) {
    fg_blocks b = {1, 1, 1};
    for (int k = 0; k < x->ndim; k++) {
        int64_t *part = axes >> k & 1 ? &b.n : axes >> k ? &b.outer : &b.inner;
        *part *= x->shape[k];
    }
    return b;
}

#endif
