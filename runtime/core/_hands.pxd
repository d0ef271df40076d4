# What `hands.py` tells of an object.
from libc.stdint cimport int64_t

cdef extern from *:
    """
    #define shoal_address(thing) ((int64_t)(intptr_t)(thing))
    static int shoal_is_awaitable(PyObject *thing) {
    #ifdef Py_LIMITED_API
        return PyType_GetSlot(Py_TYPE(thing), Py_am_await) != NULL || PyObject_HasAttrString(thing, "ag_frame");
    #else
        PyAsyncMethods *methods = Py_TYPE(thing)->tp_as_async;
        return (methods && methods->am_await) || PyAsyncGen_CheckExact(thing);
    #endif
    }
    """
    int64_t address "shoal_address"(object thing)
    bint is_awaitable "shoal_is_awaitable"(object thing)
