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

FG_TLS fg_thread fg_thread_state = {.recording = 1};

static inline fg_thread *fg_here(void) { return &fg_thread_state; }

/* Takes over one reference to a node. */
static void fg_defer(PyObject *node) {
    fg_thread *t = &fg_thread_state;
    int64_t beyond = t->waiting - FG_FEW;
    if (beyond < 0) {
        t->few[t->waiting++] = node;
        return;
    }
    if (beyond == t->room) {
        int64_t room = t->room ? 2 * t->room : 64;
        PyObject **list = PyMem_RawRealloc(t->many, (size_t)room * sizeof *list);
        if (!list) { /* no memory to remember it: free it here, on the C stack */
            Py_DECREF(node);
            return;
        }
        t->many = list;
        t->room = room;
    }
    t->many[beyond] = node;
    t->waiting++;
}

static void fg_drain(void) {
    fg_thread *t = &fg_thread_state;
    if (t->draining) return;
    t->draining = 1;
    while (t->waiting) {
        int64_t last = --t->waiting;
        PyObject *node = last < FG_FEW ? t->few[last] : t->many[last - FG_FEW];
        Py_DECREF(node);
    }
    t->draining = 0;
    if (t->many) {
        PyMem_RawFree(t->many);
        t->many = NULL;
        t->room = 0;
    }
}

#endif
