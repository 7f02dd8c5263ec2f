/* How a Tensor's object comes and goes. Tensors are made and dropped at every operation: reusing their memory without
 * filling fields twice, and a __dict__ that is made when first needed (the interpreter makes it where a type only says
 * at which offset it goes), are a good part of what an operation costs: docs/design.md has the count. */
#ifndef FG_TENSOROBJECT_H
#define FG_TENSOROBJECT_H

#include <Python.h>
#include <stdint.h>

#include "kept.h"

/* The fields of Tensor in tensor.pxd, in their order. */
typedef struct {
    PyObject_HEAD void *data;
    PyObject *storage, *layout, *node, *view, *extra; /* never NULL */
    uint32_t at;
    uint8_t dtype, flags;
    PyObject *weakrefs, *attributes;
} fg_tensor;

enum { FG_TENSORS_KEPT = 512 };
static fg_kept fg_tensors_kept;
static struct {
    PyTypeObject *type;
    traverseproc traverse;
    inquiry clear;
} fg_tensors;

/* A new reference to a Tensor without history; NULL with an exception where there is no memory. */
static inline PyObject *fg_tensor_take(PyObject *storage, PyObject *layout, void *data, int dtype) {
    fg_tensor *t = (fg_tensor *)fg_reuse(&fg_tensors_kept);
    if (!t) {
        t = PyObject_GC_New(fg_tensor, fg_tensors.type);
        if (!t) return NULL;
    }
    t->data = data;
    t->storage = Py_NewRef(storage);
    t->layout = Py_NewRef(layout);
    t->node = Py_NewRef(Py_None);
    t->view = Py_NewRef(Py_None);
    t->extra = Py_NewRef(Py_None);
    t->at = 0;
    t->dtype = (uint8_t)dtype;
    t->flags = 0;
    t->weakrefs = t->attributes = NULL;
    PyObject_GC_Track(t);
    return (PyObject *)t;
}

static void fg_tensor_dealloc(PyObject *o) {
    fg_tensor *t = (fg_tensor *)o;
    PyObject_GC_UnTrack(o);
    if (t->weakrefs) PyObject_ClearWeakRefs(o);
    Py_CLEAR(t->attributes);
    Py_DECREF(t->storage);
    Py_DECREF(t->layout);
    Py_DECREF(t->node);
    Py_DECREF(t->view);
    Py_DECREF(t->extra);
    if (!fg_keep(&fg_tensors_kept, o, FG_TENSORS_KEPT)) PyObject_GC_Del(o);
}

static int fg_tensor_traverse(PyObject *o, visitproc visit, void *arg) {
    Py_VISIT(((fg_tensor *)o)->attributes);
    return fg_tensors.traverse(o, visit, arg);
}

static int fg_tensor_clear(PyObject *o) {
    Py_CLEAR(((fg_tensor *)o)->attributes);
    return fg_tensors.clear(o);
}

static void fg_tensors_empty(void) {
    for (PyObject *o; (o = fg_reuse(&fg_tensors_kept));) PyObject_GC_Del(o);
}

/* Called once, before there is any Tensor. Returns 0 where the struct above is not the type's. */
static int fg_tensor_prepare(PyTypeObject *type) {
    if (type->tp_basicsize != sizeof(fg_tensor) || type->tp_weaklistoffset != offsetof(fg_tensor, weakrefs)) return 0;
    fg_tensors.type = type;
    fg_tensors.traverse = type->tp_traverse;
    fg_tensors.clear = type->tp_clear;
    type->tp_traverse = fg_tensor_traverse;
    type->tp_clear = fg_tensor_clear;
    type->tp_dealloc = fg_tensor_dealloc;
    type->tp_dictoffset = offsetof(fg_tensor, attributes);
    PyType_Modified(type);
    return 1;
}

#endif
