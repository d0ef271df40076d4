# What `roots.py` says, in compiled code.
cdef extern from *:
    """
    static PyObject *shoal_no_args;
    static PyObject *shoal_create(PyObject *kind) {
    #ifdef Py_LIMITED_API
        newfunc make = (newfunc)PyType_GetSlot((PyTypeObject *)kind, Py_tp_new);
    #else
        newfunc make = ((PyTypeObject *)kind)->tp_new;
    #endif
        if (!shoal_no_args && !(shoal_no_args = PyTuple_New(0))) return NULL;
        return make((PyTypeObject *)kind, shoal_no_args, NULL);
    }
    static int shoal_is_collected(PyObject *thing) {
        return (PyType_GetFlags(Py_TYPE(thing)) & Py_TPFLAGS_HAVE_GC) != 0;
    }
    static void shoal_root(PyObject *thing) {
        if (shoal_is_collected(thing) && PyObject_GC_IsTracked(thing)) PyObject_GC_UnTrack(thing);
    }
    static void shoal_unroot(PyObject *thing) {
        if (shoal_is_collected(thing) && !PyObject_GC_IsTracked(thing)) PyObject_GC_Track(thing);
    }
    """
    object create "shoal_create"(object kind)
    void root "shoal_root"(object thing)
    void unroot "shoal_unroot"(object thing)
