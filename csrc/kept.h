/* Objects kept for reuse: a list through the objects themselves, so that a graph of many nodes finds those of the last step.
 * Guarded by the GIL. */
#ifndef FG_KEPT_H
#define FG_KEPT_H

#include <Python.h>

#include "reuse.h"

typedef struct {
    PyObject *first; /* its field for a type is the next one: where there is no type there is no object */
    int count;
} fg_kept;

/* The next object as a new reference; NULL where none is kept. */
static inline PyObject *fg_reuse(fg_kept *kept) {
    PyObject *o = kept->first;
    if (!o) return NULL;
    kept->first = *(PyObject **)(o + 1);
    kept->count--;
#if defined(Py_TRACE_REFS) || defined(Py_GIL_DISABLED)
    _Py_NewReference(o);
#else
    Py_SET_REFCNT(o, 1); /* what that function does, without the call: there are three of them in an operation */
#endif
    return o;
}

/* Whether a dead object was kept. */
static inline int fg_keep(fg_kept *kept, PyObject *o, int most) {
    if (!FG_REUSES || kept->count >= most) return 0;
    *(PyObject **)(o + 1) = kept->first;
    kept->first = o;
    kept->count++;
    return 1;
}

#endif
