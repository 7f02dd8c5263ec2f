/* Feeds flat loops: an operand that is not dense in the output's order is laid out in a tile-sized buffer first.
 *
 * Rejected: strided variants of every loop. They multiply the code by the number of layouts, and only the flat form
 * vectorises well; a tile stays in the first-level cache, so the copy costs about one load and one store an element. */
#include "broadcast.h"

#include <string.h>

#include "dtype.h"
#include "iter.h"

enum { INPUTS = 3, TILE = 512, SHORT_RUN = 64 };

#if defined(__GNUC__)
#define ALIAS __attribute__((may_alias)) /* bits are moved, whatever their type */
#else
#define ALIAS
#endif
typedef uint8_t ALIAS bits8;
typedef uint32_t ALIAS bits32;
typedef uint64_t ALIAS bits64;

#define COPY(T)                                                                \
    do {                                                                       \
        T *d = to;                                                             \
        const T *s = from;                                                     \
        if (from_step == 0) {                                                  \
            T value = *s;                                                      \
            for (int64_t k = 0; k < n; k++) d[k * to_step] = value;            \
        } else {                                                               \
            for (int64_t k = 0; k < n; k++) d[k * to_step] = s[k * from_step]; \
        }                                                                      \
    } while (0)

static void copy(void *to, int64_t to_step, const void *from, int64_t from_step, int64_t n, int64_t item) {
    if (to_step == 1 && from_step == 1) memcpy(to, from, (size_t)(n * item));
    else if (item == 4) COPY(bits32);
    else if (item == 8) COPY(bits64);
    else COPY(bits8);
}

static inline void *at(const fg_view *v, int64_t offset) { return (char *)v->data + offset * fg_itemsize[v->dtype]; }

/* Two dimensions, a dense output: a row that all rows share is laid out as often as a tile holds it, once; rows with gaps
 * between them, as of a slice, are gathered tile by tile, without an iterator. */
static int rows(fg_call *call, fg_loop loop, const fg_iter *it, char buffer[][TILE * 8]) {
    enum { FLAT, SHARED, APART } kind[INPUTS + 1];
    const fg_view *v = call->v;
    const void *x[INPUTS] = {NULL, NULL, NULL};
    const int64_t len = it->len, count = it->runs, most = TILE / len;
    if (!(v[0].lay->flags & FG_DENSE) || it->ndim != 2) return 0;
    for (int j = 1; j < it->n; j++) {
        if (v[j].lay->flags & FG_DENSE && v[j].lay->size == v[0].lay->size) kind[j] = FLAT;
        else if (it->stride[j][0] == 0) kind[j] = SHARED;
        else if (it->step[j] == 1) kind[j] = APART;
        else return 0;
    }
    for (int j = 1; j < it->n; j++) {
        int64_t item = fg_itemsize[v[j].dtype], tile = most * len, held = len;
        if (kind[j] != FLAT) x[j - 1] = buffer[j];
        if (kind[j] != SHARED) continue;
        copy(buffer[j], 1, v[j].data, it->step[j], len, item);
        for (int64_t n; held < tile; held += n) { /* as much again, to the end of the tile */
            n = held < tile - held ? held : tile - held;
            memcpy(buffer[j] + held * item, buffer[j], (size_t)(n * item));
        }
    }
    for (int64_t r = 0; r < count; r += most) {
        int64_t n = count - r < most ? count - r : most;
        for (int j = 1; j < it->n; j++) {
            if (kind[j] == FLAT) x[j - 1] = at(&v[j], r * len);
            if (kind[j] != APART) continue;
            size_t bytes = (size_t)(len * fg_itemsize[v[j].dtype]);
            int64_t apart = it->stride[j][0] * fg_itemsize[v[j].dtype];
            const char *from = (const char *)v[j].data + r * apart;
            char *to = buffer[j];
            for (int64_t k = 0; k < n; k++, from += apart, to += bytes) memcpy(to, from, bytes);
        }
        loop(n * len, at(&v[0], r * len), x[0], x[1], x[2], call->attrs);
    }
    return 1;
}

/* Whole runs are gathered into each tile; operands that are the same for every run are laid out once. */
static void short_runs(fg_call *call, fg_loop loop, fg_iter *it, char buffer[][TILE * 8]) {
    const fg_view *v = call->v;
    int dense[INPUTS + 1], same[INPUTS + 1];
    const void *x[INPUTS] = {NULL, NULL, NULL};
    dense[0] = v[0].lay->flags & FG_DENSE;
    for (int j = 1; j < it->n; j++) {
        dense[j] = dense[0] && v[j].lay->flags & FG_DENSE && v[j].lay->size == v[0].lay->size;
        same[j] = 1;
        for (int k = 0; k < it->ndim - 1; k++) same[j] &= it->stride[j][k] == 0;
    }
    int64_t per_tile = TILE / it->len;
    for (int64_t run = 0; run < it->runs; run += per_tile) {
        int64_t runs = it->runs - run < per_tile ? it->runs - run : per_tile;
        int64_t y_at[TILE];
        for (int64_t r = 0; r < runs; r++) {
            y_at[r] = it->at[0];
            for (int j = 1; j < it->n; j++)
                if (!dense[j] && !(same[j] && run > 0)) {
                    int64_t item = fg_itemsize[v[j].dtype];
                    copy(buffer[j] + r * it->len * item, 1, at(&v[j], it->at[j]), it->step[j], it->len, item);
                }
            fg_iter_next(it);
        }
        for (int j = 1; j < it->n; j++) x[j - 1] = dense[j] ? at(&v[j], run * it->len) : buffer[j];
        void *y = dense[0] ? at(&v[0], run * it->len) : buffer[0];
        loop(runs * it->len, y, x[0], x[1], x[2], call->attrs);
        if (!dense[0]) {
            int64_t item = fg_itemsize[v[0].dtype];
            for (int64_t r = 0; r < runs; r++)
                copy(at(&v[0], y_at[r]), it->step[0], buffer[0] + r * it->len * item, 1, it->len, item);
        }
    }
}

static void long_runs(fg_call *call, fg_loop loop, fg_iter *it, char buffer[][TILE * 8]) {
    const fg_view *v = call->v;
    const void *x[INPUTS] = {NULL, NULL, NULL};
    int64_t tile = it->len;
    for (int j = 0; j < it->n; j++)
        if (it->step[j] != 1) tile = TILE;
    for (int64_t run = 0; run < it->runs; run++) {
        for (int64_t k = 0; k < it->len; k += tile) {
            int64_t n = it->len - k < tile ? it->len - k : tile;
            for (int j = 1; j < it->n; j++) {
                void *from = at(&v[j], it->at[j] + k * it->step[j]);
                if (it->step[j] == 1) {
                    x[j - 1] = from;
                } else {
                    if (k == 0 || it->step[j] != 0) copy(buffer[j], 1, from, it->step[j], n, fg_itemsize[v[j].dtype]);
                    x[j - 1] = buffer[j];
                }
            }
            void *to = at(&v[0], it->at[0] + k * it->step[0]);
            loop(n, it->step[0] == 1 ? to : buffer[0], x[0], x[1], x[2], call->attrs);
            if (it->step[0] != 1) copy(to, it->step[0], buffer[0], 1, n, fg_itemsize[v[0].dtype]);
        }
        fg_iter_next(it);
    }
}

int fg_broadcast(fg_call *call, fg_loop loop) {
    _Alignas(64) char buffer[INPUTS + 1][TILE * 8];
    const fg_view *v = call->v;
    const fg_layout *o = v[0].lay;
    int nin = call->nin;
    int flat = o->flags & FG_DENSE && o->size <= TILE; /* small, dense or single operands: no iterator */
    for (int j = 1; flat && j <= nin; j++)
        flat = v[j].lay->size == 1 || (v[j].lay->flags & FG_DENSE && v[j].lay->size == o->size);
    if (flat) {
        const void *x[INPUTS] = {NULL, NULL, NULL};
        for (int j = 1; j <= nin; j++) {
            x[j - 1] = v[j].data;
            if (v[j].lay->size == o->size) continue;
            copy(buffer[j], 1, v[j].data, 0, o->size, fg_itemsize[v[j].dtype]);
            x[j - 1] = buffer[j];
        }
        loop(o->size, v[0].data, x[0], x[1], x[2], call->attrs);
        return FG_OK;
    }
    fg_iter it;
    fg_iter_init(&it, o, nin + 1, v);
    if (it.runs == 0) return FG_OK;
    if (it.len <= TILE / 4 && rows(call, loop, &it, buffer)) return FG_OK;
    (it.len < SHORT_RUN ? short_runs : long_runs)(call, loop, &it, buffer);
    return FG_OK;
}
