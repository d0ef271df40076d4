# What `contexts.py` says, in compiled code: no bound method, no exception at the end of
# a coroutine, and no call of `Context.run`, which the Limited API alone would need.
cdef extern from *:
    """
    static PyObject *shoal_context_send(PyObject *context, PyObject *coroutine, PyObject *end) {
        PyObject *result = NULL;
        PySendResult kind;
    #ifdef Py_LIMITED_API
        PyObject *send = PyObject_GetAttrString(coroutine, "send");
        if (!send) return NULL;
        result = PyObject_CallMethod(context, "run", "OO", send, Py_None);
        Py_DECREF(send);
        kind = PYGEN_NEXT;
        if (!result) {
            PyObject *type, *error, *traceback;
            if (!PyErr_ExceptionMatches(PyExc_StopIteration)) return NULL;
            PyErr_Fetch(&type, &error, &traceback);
            PyErr_NormalizeException(&type, &error, &traceback);
            result = PyObject_GetAttrString(error, "value");
            Py_XDECREF(type); Py_XDECREF(error); Py_XDECREF(traceback);
            if (!result) return NULL;
            kind = PYGEN_RETURN;
        }
    #else
        if (PyContext_Enter(context)) return NULL;
        kind = PyIter_Send(coroutine, Py_None, &result);
        if (PyContext_Exit(context)) {
            Py_XDECREF(result);
            return NULL;
        }
    #endif
        if (kind == PYGEN_RETURN) {
            if (PyList_SetItem(end, 0, result)) return NULL;  /* which takes `result` over */
            Py_INCREF(end);
            return end;
        }
        return result;
    }
    """
    object send "shoal_context_send"(object context, object coroutine, object end)
