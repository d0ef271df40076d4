# `spawn` as a method of a class, without a dict for the keywords that are not given.
#
# A Cython function with **kwargs makes that dict at each call, a tenth of what a spawn
# costs.  So the method is a plain C function: what has no keywords goes to `plainly`,
# all else to the function that takes them.
#
# And the ref of an actor, by its place in the instance: by name it costs 200 instructions.
cdef extern from *:
    """
    #include "structmember.h"
    #define SHOAL_KINDS_MAX 2  /* actors and systems */
    static struct { PyTypeObject *kind; Py_ssize_t place; } shoal_with_ref[SHOAL_KINDS_MAX];  /* of the slot `_shoal_ref` */
    static int shoal_kinds;
    #define SHOAL_NO_REF "this %S has no ref: actors are made by `spawn`, not by calling their class"
    static PyObject *shoal_ref_name;
    static PyObject *shoal_ref_of(PyObject *self) {
        int i;
        for (i = 0; i < shoal_kinds; i++) {  /* a system is none of a subclass, mostly */
            if (!Py_IS_TYPE(self, shoal_with_ref[i].kind)) continue;
            PyObject *ref = *(PyObject **)((char *)self + shoal_with_ref[i].place);
            if (ref && ref != Py_None) return Py_NewRef(ref);  /* what is compiled may ask None for fields */
        }
        for (i = 0; i < shoal_kinds; i++) {
            if (!PyObject_TypeCheck(self, shoal_with_ref[i].kind)) continue;
            PyObject *ref = *(PyObject **)((char *)self + shoal_with_ref[i].place);
            if (ref && ref != Py_None) return Py_NewRef(ref);  /* what is compiled may ask None for fields */
        }
        PyObject *ref = PyObject_GetAttr(self, shoal_ref_name);
        if (ref && ref != Py_None) return ref;
        if (!ref && !PyErr_ExceptionMatches(PyExc_AttributeError)) return NULL;
        Py_XDECREF(ref);
        PyErr_Clear();
        PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(self), "__name__");
        if (name) PyErr_Format(PyExc_TypeError, SHOAL_NO_REF, name);
        Py_XDECREF(name);
        return NULL;
    }
    typedef PyObject *(*shoal_plainly)(PyObject *self, PyObject *kind, PyObject *args, PyObject *keywords);
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
            result = shoal_spawn_plainly(self, args[0], rest, Py_None);
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
        "own_scheduler=None, blocking=None, weight=None, **kwargs)\\n--\\n\\nStart a child."
    };
    #endif
    static PyObject *shoal_as_method(PyObject *kind, PyObject *in_full, shoal_plainly plainly) {
        if (!shoal_ref_name && !(shoal_ref_name = PyUnicode_InternFromString("_shoal_ref"))) return NULL;
        Py_INCREF(in_full);  /* and never let go of: a module's own function */
        shoal_spawn_in_full = in_full;
        shoal_spawn_plainly = plainly;
    #ifdef Py_LIMITED_API
        (void)kind;
        return Py_NewRef(in_full);
    #else
        PyObject *slot = PyDict_GetItemString(((PyTypeObject *)kind)->tp_dict, "_shoal_ref");
        if (slot && Py_IS_TYPE(slot, &PyMemberDescr_Type) && shoal_kinds < SHOAL_KINDS_MAX) {
            shoal_with_ref[shoal_kinds].kind = (PyTypeObject *)Py_NewRef(kind);
            shoal_with_ref[shoal_kinds++].place = ((PyMemberDescrObject *)slot)->d_member->offset;
        }
        return PyDescr_NewMethod((PyTypeObject *)kind, &shoal_spawn_method);
    #endif
    }
    """
    ctypedef object (*Plainly "shoal_plainly")(object, object, object, object)
    object ref_of "shoal_ref_of"(object actor)
    object as_method "shoal_as_method"(object kind, object in_full, Plainly plainly)
