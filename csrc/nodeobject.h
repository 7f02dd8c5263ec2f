/* How a Node's object comes and goes: as for a Tensor (tensorobject.h), but not tracked by the garbage collector at birth.
 * All in C: Cython's __dealloc__ saves and restores the error state. Included by exactly one extension. */
#ifndef FG_NODEOBJECT_H
#define FG_NODEOBJECT_H

#include "block.h"
#include "state.h"
#include "tape.h"

/* The fields of Node in tensor.pxd, in their order. */
typedef struct {
    PyObject_HEAD PyObject *op, *lay, *attrs, *extra; /* never NULL */
    PyObject *g;
    fg_edge *edges; /* one block with the saves */
    fg_save *saves;
    uint32_t run, nedges;
    uint8_t nsaves, block_class, dtype, state;
} fg_node;

enum { FG_NODES_KEPT = 512 };
static struct {
    PyTypeObject *type;
    int count;
    fg_node *free[FG_NODES_KEPT]; /* guarded by the GIL */
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
    n->g = NULL;
    n->edges = NULL;
    n->saves = NULL;
    n->run = n->nedges = 0;
    n->nsaves = n->block_class = n->state = 0;
    n->dtype = (uint8_t)dtype;
    return (PyObject *)n;
}

/* Drops edges and saves. Parents go to the worklist whatever their reference counts: freeing a chain of a million nodes
 * must not recurse. */
static void fg_node_release(PyObject *o) {
    fg_node *n = (fg_node *)o;
    fg_edge *edges = n->edges;
    uint32_t nedges = n->nedges;
    if (!edges) return;
    n->edges = NULL;
    for (int i = 0; i < n->nsaves; i++) {
        Py_XDECREF(n->saves[i].storage);
        Py_DECREF(n->saves[i].layout);
    }
    n->nsaves = 0;
    n->nedges = 0;
    for (uint32_t i = 0; i < nedges; i++)
        if (edges[i].node) fg_defer(edges[i].node);
    fg_give_block(edges, n->block_class);
    fg_drain();
}

static void fg_node_dealloc(PyObject *o) {
    fg_node *n = (fg_node *)o;
    PyObject_GC_UnTrack(o);
    Py_CLEAR(n->g);
    fg_node_release(o);
    Py_DECREF(n->op);
    Py_DECREF(n->lay);
    Py_DECREF(n->attrs);
    Py_DECREF(n->extra);
    if (fg_nodes.count < FG_NODES_KEPT) fg_nodes.free[fg_nodes.count++] = n;
    else PyObject_GC_Del(o);
}

/* Called once, before there is any Node. Returns 0 where the struct above is not the type's. */
static int fg_node_prepare(PyTypeObject *type) {
    if (type->tp_basicsize != sizeof(fg_node)) return 0;
    fg_nodes.type = type;
    type->tp_dealloc = fg_node_dealloc;
    return 1;
}

#endif
