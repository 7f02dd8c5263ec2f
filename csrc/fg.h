/* The structures every layer shares: layouts, views, attributes and the call of a kernel.
 * Plain C11, no Python: the Cython core fills these, kernels only read them. */
#ifndef FG_H
#define FG_H

#include <stddef.h>
#include <stdint.h>

#define FG_MAX_DIMS 8

/* Order matters: promotion takes the category (bool < int < float) first and then the order in dtype.h. */
typedef enum { FG_F32, FG_F64, FG_I64, FG_I32, FG_U8, FG_BOOL, FG_NDTYPES } fg_dtype;

enum {
    FG_DENSE = 1,  /* row-major without gaps: element k of the row-major order is data[k] */
    FG_OVERLAP = 2 /* two different indices may name one element (a stride of 0, an unfold) */
};

/* Strides are in elements. Axes of size 1 may carry any stride. */
typedef struct {
    int32_t ndim;
    uint32_t flags;
    int64_t size;
    int64_t shape[FG_MAX_DIMS];
    int64_t stride[FG_MAX_DIMS];
} fg_layout;

typedef struct {
    void *data; /* the first element, offset included */
    const fg_layout *lay;
    int64_t dtype;
} fg_view;

/* Attributes of an op: immutable once a call is made, owned by the tape's node. Every op documents which it reads. */
typedef struct {
    uint32_t axes;  /* reductions: bit k set = axis k is reduced */
    int32_t axis;   /* one axis, never negative */
    int32_t mode;   /* a small choice, per op: keepdim, the reduction of a loss, ... */
    uint32_t needs; /* `*_vjp`: bit k set = the gradient of input k is wanted */
    int64_t i[4];   /* integers, per op */
    double f[6];    /* real parameters, per op */
    int32_t ndim;   /* the layout of a view or of a created tensor */
    int64_t offset;
    int64_t shape[FG_MAX_DIMS];
    int64_t stride[FG_MAX_DIMS];
} fg_attrs;

/* What a kernel may answer; the core turns a code into an exception. */
enum {
    FG_OK = 0,
    FG_EINDEX = 1,   /* an index or label is out of range: where = its row-major position, value = what it was */
    FG_EDIVZERO = 2, /* integer division by zero: where = position */
    FG_ENOMEM = 3,
    FG_EDOMAIN = 4,  /* a value outside the op's domain (a probability, say): where = position */
    FG_ESCRATCH = 5  /* the kernel needs scratch: value = bytes. The core provides it and calls again */
};

typedef struct fg_call fg_call;
typedef int (*fg_kernel)(fg_call *);

/* One execution of one kernel. `v` holds the outputs, then the inputs.
 * Outputs are distinct from every input, or (in place) exactly one input: same data, same layout. */
struct fg_call {
    fg_kernel kernel;
    const fg_attrs *attrs; /* NULL where the op has none */
    fg_view *v;
    void *scratch; /* NULL until the kernel has asked for it (FG_ESCRATCH) */
    int32_t nout, nin;
    int64_t where, value; /* set with a code other than FG_OK */
};

/* A row of a set's table: one kernel for each dtype it has; NULL where it has none.
 * The dtype is that of the op's common (promoted) input dtype, not of the output. */
typedef struct {
    const char *name;
    fg_kernel by_dtype[FG_NDTYPES];
} fg_entry;

/* One instruction set: its entries end with a NULL name. A kernel it lacks is taken from the baseline set. */
typedef struct {
    const char *name;
    int (*supported)(void);
    const fg_entry *const *groups; /* NULL-terminated: one group per kernel source file */
} fg_set;

extern const fg_set fg_set_baseline, fg_set_avx2, fg_set_avx512, fg_set_neon;

/* csrc/table.c. `fg_choose_set(NULL)` takes the best set the processor supports; a name forces one.
 * Returns the chosen set's name, or NULL where the name is unknown or unsupported. */
const char *fg_choose_set(const char *name);
const char *fg_set_names(int k, int *supported);     /* the k-th known set, NULL past the end */
fg_kernel fg_find(const char *name, int dtype);      /* in the chosen set, else in the baseline; NULL if none */
const char *fg_kernel_names(int k);                  /* the k-th kernel name of all, NULL past the end */

#endif
