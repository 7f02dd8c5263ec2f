/* What a node of the tape holds: edges to earlier nodes and what its rule needs. */
#ifndef FG_TAPE_H
#define FG_TAPE_H

#include <Python.h>
#include <stdint.h>

typedef struct {
    PyObject *node; /* owned: the node of an input that requires grad, else NULL */
    uint32_t at;    /* which output of that node */
} fg_edge;

typedef struct {
    PyObject *storage; /* owned; NULL where only the layout is kept (s_i) */
    PyObject *layout;  /* owned */
    void *data;
    uint32_t version;
    uint8_t bit; /* which x, y or s */
    uint8_t dtype;
} fg_save;

#endif
