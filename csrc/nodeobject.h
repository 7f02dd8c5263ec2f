/* How a Node's object comes and goes: as for a Tensor (tensorobject.h), but not tracked by the garbage collector at birth.
 * All in C: Cython's __dealloc__ saves and restores the error state. Included by exactly one extension. */
#ifndef FG_NODEOBJECT_H
#define FG_NODEOBJECT_H

#include "block.h"
#include "kept.h"
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

enum { FG_NODES_KEPT = 1 << 16 }; /* 8 MB: a graph of so many allocates nothing when it is built again */
static PyTypeObject *fg_node_type;
static fg_kept fg_nodes;

/* A new reference to a Node without edges; NULL with an exception where there is no memory. */
static inline PyObject *fg_node_take(PyObject *op, PyObject *lay, PyObject *attrs, int dtype) {
    fg_node *n = (fg_node *)fg_reuse(&fg_nodes);
    if (!n) {
        n = PyObject_GC_New(fg_node, fg_node_type);
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

/* Drops edges and saves. A parent that nothing else holds goes to the worklist: freeing a chain of a million nodes must
 * not recurse. */
static void fg_node_release(PyObject *o) {
    fg_node *n = (fg_node *)o;
    fg_edge *edges = n->edges;
    fg_save *s = n->saves, *end = s + n->nsaves;
    uint32_t nedges = n->nedges;
    int deferred = 0;
    if (!edges) return;
    n->edges = NULL;
    n->nsaves = 0;
    n->nedges = 0;
    for (; s < end; s++) {
        Py_XDECREF(s->storage);
        Py_DECREF(s->layout);
    }
    for (uint32_t i = 0; i < nedges; i++) {
        PyObject *parent = edges[i].node;
        if (!parent) continue;
        if (Py_REFCNT(parent) > 1) {
            Py_DECREF(parent);
        } else {
            fg_defer(parent);
            deferred = 1;
        }
    }
    fg_give_block(edges, n->block_class);
    if (deferred) fg_drain();
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
    if (!fg_keep(&fg_nodes, o, FG_NODES_KEPT)) PyObject_GC_Del(o);
}

static void fg_nodes_empty(void) {
    for (PyObject *o; (o = fg_reuse(&fg_nodes));) PyObject_GC_Del(o);
    fg_blocks_empty();
}

/* Called once, before there is any Node. Returns 0 where the struct above is not the type's. */
static int fg_node_prepare(PyTypeObject *type) {
    if (type->tp_basicsize != sizeof(fg_node)) return 0;
    fg_node_type = type;
    type->tp_dealloc = fg_node_dealloc;
    return 1;
}

#endif
