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
    static int shoal_context_leave(PyObject *context) {
    #ifdef Py_LIMITED_API
        (void)context;
        return 0;
    #else
        if (!PyContext_Exit(context)) return 1;
        PyErr_Clear();  /* another context is current */
        return 0;
    #endif
    }
    static int shoal_context_enter(PyObject *context) {
    #ifdef Py_LIMITED_API
        (void)context;
        return 0;
    #else
        return PyContext_Enter(context);
    #endif
    }
    """
    object send "shoal_context_send"(object context, object coroutine, object end)
    bint leave "shoal_context_leave"(object context) noexcept
    int enter "shoal_context_enter"(object context) except -1
