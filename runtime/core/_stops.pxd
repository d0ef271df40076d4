# What `stops.py` says, in compiled code: the error is set as asyncio's own futures set
# theirs, by its value alone, and becomes an object only where somebody catches it.
# The bare `raise StopIteration` after it returns to the interpreter without a traceback.
cdef extern from *:
    """
    static void shoal_stop_with(PyObject *value) {
        if (PyTuple_Check(value) || PyExceptionInstance_Check(value)) {
            PyObject *stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, value, NULL);
            if (stop) {
                PyErr_SetObject(PyExc_StopIteration, stop);
                Py_DECREF(stop);
            }
        } else {
            PyErr_SetObject(PyExc_StopIteration, value);
        }
    }
    """
    void stop_with "shoal_stop_with"(object value) noexcept
