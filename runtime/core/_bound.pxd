# `spawn` as a method of a class, without a dict for the keywords that are not given.
#
# A Cython function with **kwargs makes that dict at each call, a tenth of what a spawn
# costs.  So the method is a plain C function: what has no keywords goes to `plainly`,
# all else to the function that takes them.
cdef extern from *:
    """
    typedef PyObject *(*shoal_plainly)(PyObject *self, PyObject *kind, PyObject *args);
    static shoal_plainly shoal_spawn_plainly;
    static PyObject *shoal_spawn_in_full;
    #ifndef Py_LIMITED_API
    static PyObject *shoal_spawn(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
        PyObject *few[8], **all = few, *result = NULL;
        Py_ssize_t i, total = count + (names ? PyTuple_GET_SIZE(names) : 0);
        if (count > 0 && !names) {
            PyObject *rest = PyTuple_New(count - 1);
            if (!rest) return NULL;
            for (i = 1; i < count; i++) PyTuple_SET_ITEM(rest, i - 1, Py_NewRef(args[i]));
            result = shoal_spawn_plainly(self, args[0], rest);
            Py_DECREF(rest);
            if (result != Py_None) return result;  /* also where it raised */
            Py_DECREF(result);
        }
        if (total + 1 > 8 && !(all = PyMem_New(PyObject *, total + 1))) return PyErr_NoMemory();
        all[0] = self;
        for (i = 0; i < total; i++) all[i + 1] = args[i];
        result = PyObject_Vectorcall(shoal_spawn_in_full, all, (size_t)count + 1, names);
        if (all != few) PyMem_Free(all);
        return result;
    }
    static PyMethodDef shoal_spawn_method = {
        "spawn", (PyCFunction)(void (*)(void))shoal_spawn, METH_FASTCALL | METH_KEYWORDS,
        "spawn($self, actor_class, /, *args, name=None, mailbox=None, restart=None, "
        "own_scheduler=None, blocking=None, **kwargs)\\n--\\n\\nStart a child."
    };
    #endif
    static PyObject *shoal_as_method(PyObject *kind, PyObject *in_full, shoal_plainly plainly) {
        Py_INCREF(in_full);  /* and never let go of: a module's own function */
        shoal_spawn_in_full = in_full;
        shoal_spawn_plainly = plainly;
    #ifdef Py_LIMITED_API
        (void)kind;
        return Py_NewRef(in_full);
    #else
        return PyDescr_NewMethod((PyTypeObject *)kind, &shoal_spawn_method);
    #endif
    }
    """
    ctypedef object (*Plainly "shoal_plainly")(object, object, object)
    object as_method "shoal_as_method"(object kind, object in_full, Plainly plainly)
