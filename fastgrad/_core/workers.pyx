"""Threads that work for another one, which may have to stop them. Imports nothing of the core."""

cimport cython
from cpython.object cimport PyObject

import threading

cdef extern from "Python.h":
    int PyThreadState_SetAsyncExc(unsigned long id, PyObject* exception)


class Stopped(BaseException):
    """Raised in a worker that is to stop, between two instructions of its Python."""


@cython.final
cdef class Gate:
    """Lets another thread stop the one that is in `run`. The GIL keeps `run` and `stop` apart."""

    cdef unsigned long thread
    cdef bint open

    def run(self, work):
        """Calls `work` until it returns or is stopped. Afterwards nothing is raised in this thread: what was sent and has
        not come is taken back. (CPython 3.12 forgets that an exception is due in one thread when it raises one in
        another.) This has to be compiled: Stopped comes between two instructions of Python."""
        self.thread = threading.get_ident()
        self.open = True
        try:
            work()
        except Stopped:
            pass
        finally:
            self.open = False
            PyThreadState_SetAsyncExc(self.thread, NULL)

    def stop(self):
        """Raises Stopped in `work` as soon as it runs Python. It may be lost, in a destructor say: call this again."""
        if self.open:
            PyThreadState_SetAsyncExc(self.thread, <PyObject*>Stopped)
