/* How a Node's object comes and goes: as for a Tensor (tensorobject.h), but not tracked by the garbage collector at birth,
 * and with a finalizer that touches C fields only: Cython's __dealloc__ saves and restores the error state around it. */
#ifndef FG_NODEOBJECT_H
#define FG_NODEOBJECT_H

#include <Python.h>
#include <stdint.h>

/* What the finalizer frees. */
typedef struct {
    PyObject *g;
    void *edges, *saves;
    uint32_t run, nedges;
    uint8_t nsaves, block_class, dtype, state;
} fg_node_block;

/* The fields of Node in tensor.pxd, in their order. */
typedef struct {
    PyObject_HEAD PyObject *op, *lay, *attrs, *extra; /* never NULL */
    fg_node_block block;
} fg_node;

enum { FG_NODES_KEPT = 512 };
static struct {
    PyTypeObject *type;
    int count;
    fg_node *free[FG_NODES_KEPT]; /* guarded by the GIL */
    void (*finalize)(fg_node_block *block);
} fg_nodes;

/* A new reference to a Node without edges; NULL with an exception where there is no memory. */
static inline PyObject *fg_node_take(PyObject *op, PyObject *lay, PyObject *attrs, int dtype) {
    fg_node *n;
    if (fg_nodes.count) {
        n = fg_nodes.free[--fg_nodes.count];
        _Py_NewReference((PyObject *)n);
    } else {
        n = PyObject_GC_New(fg_node, fg_nodes.type);
        if (!n) return NULL;
    }
    n->op = Py_NewRef(op);
    n->lay = Py_NewRef(lay);
    n->attrs = Py_NewRef(attrs);
    n->extra = Py_NewRef(Py_None);
    n->block = (fg_node_block){.dtype = (uint8_t)dtype};
    return (PyObject *)n;
}

static void fg_node_dealloc(PyObject *o) {
    fg_node *n = (fg_node *)o;
    PyObject_GC_UnTrack(o);
    fg_nodes.finalize(&n->block);
    Py_DECREF(n->op);
    Py_DECREF(n->lay);
    Py_DECREF(n->attrs);
    Py_DECREF(n->extra);
    if (fg_nodes.count < FG_NODES_KEPT) fg_nodes.free[fg_nodes.count++] = n;
    else PyObject_GC_Del(o);
}

/* Called once, before there is any Node. Returns 0 where the struct above is not the type's. */
static int fg_node_prepare(PyTypeObject *type, void (*finalize)(fg_node_block *block)) {
    if (type->tp_basicsize != sizeof(fg_node)) return 0;
    fg_nodes.type = type;
    fg_nodes.finalize = finalize;
    type->tp_dealloc = fg_node_dealloc;
    return 1;
}

#endif
