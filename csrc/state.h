/* This thread's state and the freeing of nodes. Included by exactly one extension: the others ask that one. */
#ifndef FG_STATE_H
#define FG_STATE_H

#include "thread.h"

/* initial-exec: a load from a fixed offset instead of a call (120 instructions per recorded op). The struct is small enough
 * for the room that the C library keeps for modules loaded later. */
#if defined(__ELF__)
#define FG_TLS static __thread __attribute__((tls_model("initial-exec")))
#elif defined(_MSC_VER)
#define FG_TLS static __declspec(thread)
#else
#define FG_TLS static __thread
#endif

FG_TLS fg_thread fg_thread_state = {0, 1, 0, 0, NULL, 0, 0, 0};

static inline fg_thread *fg_here(void) { return &fg_thread_state; }

/* Takes over one reference to a node. */
static void fg_defer(PyObject *node) {
    fg_thread *t = &fg_thread_state;
    if (t->waiting == t->room) {
        int64_t room = t->room ? 2 * t->room : 64;
        PyObject **list = PyMem_RawRealloc(t->worklist, (size_t)room * sizeof *list);
        if (!list) { /* no memory to remember it: free it here, on the C stack */
            Py_DECREF(node);
            return;
        }
        t->worklist = list;
        t->room = room;
    }
    t->worklist[t->waiting++] = node;
}

static void fg_drain(void) {
    fg_thread *t = &fg_thread_state;
    if (t->draining) return;
    t->draining = 1;
    while (t->waiting) {
        PyObject *node = t->worklist[--t->waiting];
        Py_DECREF(node);
    }
    t->draining = 0;
    if (t->room > 4096) { /* a very deep graph has passed: give the list back */
        PyMem_RawFree(t->worklist);
        t->worklist = NULL;
        t->room = 0;
    }
}

#endif
