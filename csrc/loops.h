/* What turns one line of elementwise.h or integer.h into a kernel: macros only. */
#ifndef FG_LOOPS_H
#define FG_LOOPS_H

#include "broadcast.h"
#include "kernel.h"

/* One flat loop. A line's expression sees its inputs a, b, c, the parameters p, q, r, its dtype t and t's unsigned u. */
#define LOOP(name, T, U, Y, load, params, expr)                                                          \
    static void FG_SET(name##_loop)(int64_t n, void *py, const void *pa, const void *pb, const void *pc, \
                                    const fg_attrs *at) {                                                \
        typedef T t;                                                                                     \
        typedef U u;                                                                                     \
        Y *y = py;                                                                                       \
        params;                                                                                          \
        (void)pb, (void)pc, (void)at, (void)sizeof(t), (void)sizeof(u);                                  \
        FG_IVDEP                                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                                \
            load(T);                                                                                     \
            y[i] = (Y)(expr);                                                                            \
        }                                                                                                \
    }

#define LOAD_1(T) const T a = ((const T *)pa)[i]
#define LOAD_2(T)                   \
    const T a = ((const T *)pa)[i]; \
    const T b = ((const T *)pb)[i]; \
    (void)b
#define LOAD_NUMBER_1(T)            \
    const T a = *(const T *)pa;     \
    const T b = ((const T *)pb)[i]; \
    (void)a
#define LOAD_NUMBER_2(T)            \
    const T a = ((const T *)pa)[i]; \
    const T b = *(const T *)pb;     \
    (void)b
#define LOAD_3(T)                   \
    const T a = ((const T *)pa)[i]; \
    const T b = ((const T *)pb)[i]; \
    const T c = ((const T *)pc)[i]; \
    (void)b, (void)c
#define LOAD_WHERE(T)                           \
    const uint8_t a = ((const uint8_t *)pa)[i]; \
    const T b = ((const T *)pb)[i];             \
    const T c = ((const T *)pc)[i]

#define P_0
#define P_1 const t p = (t)at->f[0]
#define P_2 const t p = (t)at->f[0], q = (t)at->f[1]
#define P_3 const t p = (t)at->f[0], q = (t)at->f[1], r = (t)at->f[2]

/* The kernel around it: operands of one dense layout first, everything else by way of fg_broadcast. */
#define KERNEL(name, same, ...)                                                                      \
    static int FG_SET(name)(fg_call * call) {                                                        \
        const fg_view *v = call->v;                                                                  \
        const fg_layout *o = v[0].lay;                                                               \
        if (!FG_LIKELY(same && o->flags & FG_DENSE)) return fg_broadcast(call, FG_SET(name##_loop)); \
        FG_SET(name##_loop)(o->size, v[0].data, __VA_ARGS__, call->attrs);                           \
        return FG_OK;                                                                                \
    }
#define KERNEL_1(name) KERNEL(name, v[1].lay == o, v[1].data, NULL, NULL)
#define KERNEL_2(name) KERNEL(name, v[1].lay == o && v[2].lay == o, v[1].data, v[2].data, NULL)
#define KERNEL_3(name) KERNEL(name, v[1].lay == o && v[2].lay == o && v[3].lay == o, v[1].data, v[2].data, v[3].data)

#endif
