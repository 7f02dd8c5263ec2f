/* A fused call: pointwise calls of one shape that run tile after tile, so that what passes between them stays in the
 * first-level cache. The calls are ordinary ones, of ordinary kernels, over views of one tile.
 *
 * Rejected: one kernel generated or written for each chain. It would keep values in registers, but there would be a second
 * implementation of every op; a tile of 4 KiB costs a load and a store from the cache for each op instead. */
#ifndef FG_FUSE_H
#define FG_FUSE_H

#include "fg.h"

typedef struct {
    fg_call *calls;
    fg_view *views;         /* of all calls, one after another, at the first tile */
    int64_t *step; /* of each view, bytes from tile to tile: 0 for a buffer of one tile and what broadcasts */
    const fg_layout **last; /* ... and its layout in the last tile, which may be smaller */
    int64_t ncalls, nviews, tiles;
} fg_fusion;

static inline void fg_swap_layouts(const fg_fusion *f) {
    for (int64_t k = 0; k < f->nviews; k++) {
        const fg_layout *lay = f->views[k].lay;
        f->views[k].lay = f->last[k];
        f->last[k] = lay;
    }
}

/* attrs: i[0], the address of the fg_fusion. Its calls cannot fail and need no scratch. */
static int fg_fused(fg_call *call) {
    const fg_fusion *f = (const fg_fusion *)(intptr_t)call->attrs->i[0];
    for (int64_t t = 1; t <= f->tiles; t++) {
        if (t == f->tiles) fg_swap_layouts(f);
        for (int64_t k = 0; k < f->ncalls; k++) f->calls[k].kernel(&f->calls[k]);
        for (int64_t k = 0; k < f->nviews; k++) f->views[k].data = (char *)f->views[k].data + f->step[k];
    }
    fg_swap_layouts(f);
    for (int64_t k = 0; k < f->nviews; k++) f->views[k].data = (char *)f->views[k].data - f->tiles * f->step[k];
    return FG_OK;
}

#endif
