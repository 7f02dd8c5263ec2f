/* A __dict__ that is made when first needed. Cython makes one with every object (100 instructions for each tensor);
 * the interpreter makes it lazily where a type only says at which offset it goes. */
#ifndef FG_LAZYDICT_H
#define FG_LAZYDICT_H

#include <Python.h>

static Py_ssize_t fg_dict_at;
static traverseproc fg_dict_traverse_base;
static inquiry fg_dict_clear_base;
static destructor fg_dict_dealloc_base;

static inline PyObject **fg_dict_slot(PyObject *o) { return (PyObject **)((char *)o + fg_dict_at); }

static int fg_dict_traverse(PyObject *o, visitproc visit, void *arg) {
    Py_VISIT(*fg_dict_slot(o));
    return fg_dict_traverse_base(o, visit, arg);
}

static int fg_dict_clear(PyObject *o) {
    Py_CLEAR(*fg_dict_slot(o));
    return fg_dict_clear_base(o);
}

static void fg_dict_dealloc(PyObject *o) {
    if (*fg_dict_slot(o)) {
        PyObject_GC_UnTrack(o);
        Py_CLEAR(*fg_dict_slot(o));
    }
    fg_dict_dealloc_base(o);
}

/* Before the type has subclasses or instances that matter. */
static void fg_give_lazy_dict(PyTypeObject *type, Py_ssize_t at) {
    fg_dict_at = at;
    fg_dict_traverse_base = type->tp_traverse;
    fg_dict_clear_base = type->tp_clear;
    fg_dict_dealloc_base = type->tp_dealloc;
    type->tp_traverse = fg_dict_traverse;
    type->tp_clear = fg_dict_clear;
    type->tp_dealloc = fg_dict_dealloc;
    type->tp_dictoffset = at;
    PyType_Modified(type);
}

#endif
