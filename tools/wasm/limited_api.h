/* What the Limited API makes dear in WebAssembly, by shorter ways.  Included ahead of each module's own code.

   There every call that leaves a module goes through a table and is never inlined, and the Limited API makes one of
   counting a reference.  The wheel's platform is one Python alone, so how that counts is known; the loader of another
   platform refuses the wheel.  To count: CPython 3.12 to 3.14 without free threading, on 32 bits, where an immortal
   object's count is at least that of the first of them and is left alone.

   Cython stores into a list as into a mapping, which a list is too, by an index that is made a Python integer. */
#ifndef SHOAL_LIMITED_API_H
#define SHOAL_LIMITED_API_H
#define PY_SSIZE_T_CLEAN
#include "Python.h"

#if defined(Py_GIL_DISABLED) || SIZEOF_VOID_P != 4
#error "references are counted otherwise there: leave this header out"
#endif

#define SHOAL_IMMORTAL 0x3fffffff
/* Inlined everywhere they would make the wheel a fifth larger; a call within a module is the next best. */
#ifdef SHOAL_IS_HOT
#define SHOAL_COUNTING static inline
#else
#define SHOAL_COUNTING static __attribute__((noinline, unused))
#endif

SHOAL_COUNTING void shoal_incref(PyObject *o) {
    if (o->ob_refcnt < SHOAL_IMMORTAL) o->ob_refcnt++;
}
SHOAL_COUNTING void shoal_decref(PyObject *o) {
    if (o->ob_refcnt < SHOAL_IMMORTAL && --o->ob_refcnt == 0) _Py_Dealloc(o);
}
static inline PyObject *shoal_new_ref(PyObject *o) { shoal_incref(o); return o; }
static inline PyObject *shoal_xnew_ref(PyObject *o) { if (o) shoal_incref(o); return o; }

#undef Py_INCREF
#undef Py_DECREF
#undef Py_XINCREF
#undef Py_XDECREF
#undef Py_NewRef
#undef Py_XNewRef
#define Py_INCREF(o) shoal_incref((PyObject *)(o))
#define Py_DECREF(o) shoal_decref((PyObject *)(o))
#define Py_XINCREF(o) do { PyObject *shoal_o = (PyObject *)(o); if (shoal_o) shoal_incref(shoal_o); } while (0)
#define Py_XDECREF(o) do { PyObject *shoal_o = (PyObject *)(o); if (shoal_o) shoal_decref(shoal_o); } while (0)
#define Py_NewRef(o) shoal_new_ref((PyObject *)(o))
#define Py_XNewRef(o) shoal_xnew_ref((PyObject *)(o))

typedef struct {  /* PyListObject, which is the same from CPython 2 on */
    PyVarObject base;
    PyObject **items;
} shoal_list;

static inline int shoal_is_in_list(PyObject *o, Py_ssize_t place) {
    return PyList_CheckExact(o) && (size_t)place < (size_t)((PyVarObject *)o)->ob_size;
}
static inline PyObject *shoal_get_item(PyObject *o, Py_ssize_t place) {
    return shoal_is_in_list(o, place) ? ((shoal_list *)o)->items[place] : PyList_GetItem(o, place);
}
static inline int shoal_is_mapping(PyObject *o) { return !PyList_CheckExact(o) && PyMapping_Check(o); }
static inline int shoal_set_item(PyObject *o, Py_ssize_t place, PyObject *item) {
    if (shoal_is_in_list(o, place)) {
        PyObject *old = ((shoal_list *)o)->items[place];
        ((shoal_list *)o)->items[place] = shoal_new_ref(item);
        shoal_decref(old);
        return 0;
    }
    return PySequence_SetItem(o, place, item);
}
#define PyList_GetItem shoal_get_item
#define PyMapping_Check shoal_is_mapping
#define PySequence_SetItem shoal_set_item

#endif
