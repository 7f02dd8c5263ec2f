/* What the derivative of a view needs: putting a strided pattern back into a dense buffer. Once, not per set: memory moves. */
#include <string.h>

#include "fg.h"
#include "iter.h"

/* The pattern of attrs (offset, strides; the shape is the source's) over the dense output. */
static void pattern_of(const fg_call *c, const fg_layout *source, fg_layout *pattern) {
    *pattern = *source;
    for (int k = 0; k < source->ndim; k++) pattern->stride[k] = c->attrs->stride[k];
}

/* unslice(g): zeros of attrs.shape, to which g is added at the pattern (added: a pattern may name an element twice). */
#define UNSLICE(SUFFIX, T)                                                                   \
    static int unslice_##SUFFIX(fg_call *c) {                                                \
        const fg_layout *source = c->v[1].lay;                                               \
        fg_layout pattern;                                                                   \
        fg_view v[2] = {{(T *)c->v[0].data + c->attrs->offset, &pattern, 0}, c->v[1]};       \
        fg_iter it;                                                                          \
        pattern_of(c, source, &pattern);                                                     \
        memset(c->v[0].data, 0, (size_t)c->v[0].lay->size * sizeof(T));                      \
        fg_iter_init(&it, source, 2, v);                                                     \
        for (int64_t r = 0; r < it.runs; r++, fg_iter_next(&it)) {                           \
            T *out = (T *)v[0].data + it.at[0];                                              \
            const T *in = (const T *)v[1].data + it.at[1];                                   \
            int64_t so = it.step[0], si = it.step[1];                                        \
            if (so == 1 && si == 1) memcpy_or_add_##SUFFIX(out, in, it.len, c->attrs->mode); \
            else                                                                             \
                for (int64_t i = 0; i < it.len; i++) out[i * so] += in[i * si];              \
        }                                                                                    \
        return FG_OK;                                                                        \
    }

#define ADD_RUN(SUFFIX, T)                                                            \
    static void memcpy_or_add_##SUFFIX(T *out, const T *in, int64_t n, int overlap) { \
        if (!overlap) memcpy(out, in, (size_t)n * sizeof(T));                         \
        else                                                                          \
            for (int64_t i = 0; i < n; i++) out[i] += in[i];                          \
    }

#define BOTH(SUFFIX, T) ADD_RUN(SUFFIX, T) UNSLICE(SUFFIX, T)
BOTH(f32, float)
BOTH(f64, double)
BOTH(i64, int64_t)
BOTH(i32, int32_t)
BOTH(u8, uint8_t)

/* write(base, new): base with the pattern replaced by new. */
#define WRITE(SUFFIX, T)                                                                   \
    static int write_##SUFFIX(fg_call *c) {                                                \
        const fg_layout *source = c->v[2].lay;                                             \
        fg_layout pattern;                                                                 \
        fg_view v[2] = {{(T *)c->v[0].data + c->attrs->offset, &pattern, 0}, c->v[2]};     \
        fg_iter it;                                                                        \
        pattern_of(c, source, &pattern);                                                   \
        memcpy(c->v[0].data, c->v[1].data, (size_t)c->v[0].lay->size * sizeof(T));         \
        fg_iter_init(&it, source, 2, v);                                                   \
        for (int64_t r = 0; r < it.runs; r++, fg_iter_next(&it)) {                         \
            T *out = (T *)v[0].data + it.at[0];                                            \
            const T *in = (const T *)v[1].data + it.at[1];                                 \
            for (int64_t i = 0; i < it.len; i++) out[i * it.step[0]] = in[i * it.step[1]]; \
        }                                                                                  \
        return FG_OK;                                                                      \
    }
WRITE(f32, float)
WRITE(f64, double)

const fg_entry fg_view_entries[] = {
    {"unslice", {unslice_f32, unslice_f64, unslice_i64, unslice_i32, unslice_u8, unslice_u8}},
    {"write", {write_f32, write_f64, NULL, NULL, NULL, NULL}},
    {NULL, {NULL}},
};
