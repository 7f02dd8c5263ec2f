/* How a Storage's object comes and goes: as for a Tensor (tensorobject.h), and without clearing the 64 bytes inside it. */
#ifndef FG_STORAGEOBJECT_H
#define FG_STORAGEOBJECT_H

#include <Python.h>
#include <stdint.h>

#include "kept.h"

/* The fields of Storage in memory.pxd, in their order. */
typedef struct {
    PyObject_HEAD void *data;
    uint32_t version;
    int32_t size_class;
    uint64_t birth;
    int32_t noted;
    int64_t nbytes;
    PyObject *owner;
    int readonly;
    int64_t small[8];
} fg_storage;

enum { FG_STORAGES_KEPT = 1 << 14 };
static fg_kept fg_storages_kept;
static struct {
    PyTypeObject *type;
    void (*give_back)(void *data, int size_class);
    uint64_t births;
    uint8_t *alive; /* by the number of a note: where a death is told */
} fg_storages;

static inline uint64_t fg_births(void) { return fg_storages.births; }
static inline void fg_storage_watch(uint8_t *alive) { fg_storages.alive = alive; }

/* A new reference to a Storage that holds its numbers itself; NULL with an exception where there is no memory. */
static inline PyObject *fg_storage_take(int64_t nbytes) {
    fg_storage *s = (fg_storage *)fg_reuse(&fg_storages_kept);
    if (!s) {
        s = PyObject_New(fg_storage, fg_storages.type);
        if (!s) return NULL;
    }
    s->data = s->small;
    s->version = 0;
    s->size_class = 0;
    s->birth = ++fg_storages.births;
    s->noted = 0;
    s->nbytes = nbytes;
    s->owner = Py_NewRef(Py_None);
    s->readonly = 0;
    return (PyObject *)s;
}

static void fg_storage_dealloc(PyObject *o) {
    fg_storage *s = (fg_storage *)o;
    if (s->size_class) fg_storages.give_back(s->data, s->size_class);
    if (s->noted) fg_storages.alive[s->noted] = 0;
    Py_DECREF(s->owner);
    if (!fg_keep(&fg_storages_kept, o, FG_STORAGES_KEPT)) PyObject_Free(o);
}

static void fg_storages_empty(void) {
    for (PyObject *o; (o = fg_reuse(&fg_storages_kept));) PyObject_Free(o);
}

/* Called once, before there is any Storage. Returns 0 where the struct above is not the type's. */
static int fg_storage_prepare(PyTypeObject *type, void (*give_back)(void *data, int size_class)) {
    if (type->tp_basicsize != sizeof(fg_storage) || PyType_IS_GC(type)) return 0;
    fg_storages.type = type;
    fg_storages.give_back = give_back;
    type->tp_dealloc = fg_storage_dealloc;
    return 1;
}

#endif
