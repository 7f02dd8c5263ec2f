/* Memory for a node's edges and saves. Included by exactly one extension. */
#ifndef FG_BLOCK_H
#define FG_BLOCK_H

#include <stdint.h>
#include <Python.h>

#include "reuse.h"

/* Blocks of edges and saves, in steps of 32 bytes, kept for reuse: an allocation per node is what recording costs most. */
enum { FG_BLOCK = 32, FG_BLOCK_CLASSES = 8, FG_BLOCKS_KEPT = 1 << 15 }; /* of a class: 1 to 7 MB */
static struct {
    void *first;
    int64_t count;
} fg_blocks[FG_BLOCK_CLASSES]; /* guarded by the GIL */

/* 1 to FG_BLOCK_CLASSES - 1 for the sizes that are kept, FG_BLOCK_CLASSES for all that are larger. */
static inline int fg_block_class(size_t bytes) {
    size_t class = (bytes + FG_BLOCK - 1) / FG_BLOCK;
    return class == 0 ? 1 : class < FG_BLOCK_CLASSES ? (int)class : FG_BLOCK_CLASSES;
}

static inline void *fg_take_block(int class, size_t bytes) {
    if (class < FG_BLOCK_CLASSES && fg_blocks[class].first) {
        void *block = fg_blocks[class].first;
        fg_blocks[class].first = *(void **)block;
        fg_blocks[class].count--;
        return block;
    }
    return PyMem_Malloc(FG_REUSES && class < FG_BLOCK_CLASSES ? (size_t)class * FG_BLOCK : bytes);
}

static inline void fg_give_block(void *block, int class) {
    if (FG_REUSES && class < FG_BLOCK_CLASSES && fg_blocks[class].count < FG_BLOCKS_KEPT) {
        *(void **)block = fg_blocks[class].first;
        fg_blocks[class].first = block;
        fg_blocks[class].count++;
    } else PyMem_Free(block);
}

static inline void fg_blocks_empty(void) {
    for (int class = 0; class < FG_BLOCK_CLASSES; class ++)
        for (void *block; (block = fg_blocks[class].first); fg_blocks[class].count--) {
            fg_blocks[class].first = *(void **)block;
            PyMem_Free(block);
        }
}

#if defined(_MSC_VER)
#include <intrin.h>
static inline int fg_lowest_bit(uint64_t m) {
    unsigned long k;
    _BitScanForward64(&k, m);
    return (int)k;
}
#else
static inline int fg_lowest_bit(uint64_t m) { return __builtin_ctzll(m); }
#endif

/* Of few bits: without a processor's own instruction the compiler's is a call. */
static inline int fg_count_bits(uint64_t m) {
    int count = 0;
    for (; m; m &= m - 1) count++;
    return count;
}

#endif
