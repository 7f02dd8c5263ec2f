/* The state of one thread, and reading a reference count. */
#ifndef FG_THREAD_H
#define FG_THREAD_H

#include <stdint.h>
#include <Python.h>

enum { FG_FEW = 16 };

typedef struct {
    uint32_t special;   /* bits of SPECIAL: levels, a recorder or a profiler are active on this thread */
    uint32_t recording; /* 1 inside grad mode */
    uint32_t inference; /* 1 inside inference_mode */
    uint32_t runs;      /* depth of backward runs on this thread */
    PyObject *watcher;  /* owned: the Watcher that is told of everything while WATCHED is set, or NULL */
    PyObject *recorder; /* borrowed: what hears of every call while the bit RECORDED of `special` is set */
    uint32_t vmaps;     /* how many of its levels are vmaps */
    uint32_t
        nlevels; /* transforms under way on this thread, and what levels.pyx knows of them: NULL where there is none */
    void *levels;
    /* Nodes whose last reference went away wait here, so that freeing a deep graph needs no recursion. Few are waiting at a
     * time; the heap holds the rest, and only while a drain runs, so that a thread that ends leaves nothing behind. */
    PyObject *few[FG_FEW], **many;
    int64_t waiting, room; /* of both; of `many` */
    int draining;
} fg_thread;

/* True where the pointer holds the only reference. C, since a Cython local would hold a second one. */
static inline int fg_sole(void *object) { return object && Py_REFCNT((PyObject *)object) == 1; }

#endif
