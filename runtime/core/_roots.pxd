# What `roots.py` says, in compiled code.
cdef extern from *:
    """
    #include "structmember.h"
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
    /* Where in an instance the slot `_shoal_ref` is, which setting it by name would look up each time; 0: ask Python. */
    static Py_ssize_t shoal_place_of_ref(PyObject *kind) {
        Py_ssize_t place = 0;
    #ifndef Py_LIMITED_API
        PyObject *slot = PyObject_GetAttrString(kind, "_shoal_ref");
        if (!slot) return -1;
        if (Py_IS_TYPE(slot, &PyMemberDescr_Type)) place = ((PyMemberDescrObject *)slot)->d_member->offset;
        Py_DECREF(slot);
    #endif
        return place;
    }
    static int shoal_give_ref(PyObject *actor, Py_ssize_t place, PyObject *ref) {
        PyObject **slot = (PyObject **)((char *)actor + place), *old;
        if (!place) return PyObject_SetAttrString(actor, "_shoal_ref", ref);
        old = *slot;
        *slot = Py_NewRef(ref);
        Py_XDECREF(old);
        return 0;
    }
    """
    object create "shoal_create"(object kind)
    void root "shoal_root"(object thing)
    void unroot "shoal_unroot"(object thing)
    const bint IS_BLANK "1"
    Py_ssize_t place_of_ref "shoal_place_of_ref"(object kind) except -1
    int give_ref "shoal_give_ref"(object actor, Py_ssize_t place, object ref) except -1
