/* What a function of the core says of a keyword that it does not take: the nearest one that it does, from its own list of
 * argument names. setup.py has the code that Cython makes call this where it would raise; nothing else of a call changes. */
#ifndef FG_KEYWORDS_H
#define FG_KEYWORDS_H

#include <Python.h>

/* Sets an exception. argnames: as Cython lays them out, ended by NULL. */
static void fg_unexpected_keyword(const char *function, PyObject *key, PyObject **const argnames[]) {
    PyObject *near = PyImport_ImportModule("fastgrad._near"), *names = PyList_New(0), *none = NULL;
    for (; names != NULL && *argnames != NULL; argnames++) {
        if (PyList_Append(names, **argnames) < 0) Py_CLEAR(names);
    }
    if (near != NULL && names != NULL)
        none = PyObject_CallMethod(near, "unexpected", "sOO", function, key, names); /* raises */
    Py_XDECREF(none);
    Py_XDECREF(names);
    Py_XDECREF(near);
}

#endif
