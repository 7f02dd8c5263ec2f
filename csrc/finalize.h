/* Finalizers that touch C fields only. Cython's __dealloc__ saves and restores the error state and the reference count
 * around every call, 100 instructions that a finalizer without Python does not need. */
#ifndef FG_FINALIZE_H
#define FG_FINALIZE_H

#include <Python.h>

typedef void (*fg_finalizer)(void *fields);

/* One finalizer for each module that includes this: `fields` points `at` bytes into the object. */
static Py_ssize_t fg_fields_at;
static fg_finalizer fg_finalize_fields;
static destructor fg_finalize_base;

static void fg_finalize_dealloc(PyObject *o) {
    fg_finalize_fields((char *)o + fg_fields_at);
    fg_finalize_base(o);
}

static void fg_finalize_dealloc_gc(PyObject *o) {
    PyObject_GC_UnTrack(o);
    fg_finalize_dealloc(o);
}

static void fg_give_finalizer(PyTypeObject *type, Py_ssize_t at, fg_finalizer finalize) {
    fg_fields_at = at;
    fg_finalize_fields = finalize;
    fg_finalize_base = type->tp_dealloc;
    type->tp_dealloc = PyType_IS_GC(type) ? fg_finalize_dealloc_gc : fg_finalize_dealloc;
}

#endif
