# Locks that are held for a few steps of C, in which nothing waits, nothing the garbage
# collector knows is made, and no Python runs.  Stands in for `latches.py` in compiled code.
#
# Under a GIL such steps are alone anyway, and nothing is compiled: one of Python's locks
# takes a thousand instructions in a `with`, and a message between two threads passes ten.
cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    static void shoal_free_latch(PyObject *latch) { PyMem_RawFree(PyCapsule_GetPointer(latch, "shoal.latch")); }
    static inline PyObject *shoal_new_latch(void) {
        PyObject *latch;
        PyMutex *mutex = PyMem_RawCalloc(1, sizeof(PyMutex));
        if (!mutex) return PyErr_NoMemory();
        latch = PyCapsule_New(mutex, "shoal.latch", shoal_free_latch);
        if (!latch) PyMem_RawFree(mutex);
        return latch;
    }
    #define shoal_lock(latch) PyMutex_Lock((PyMutex *)PyCapsule_GetPointer(latch, "shoal.latch"))
    #define shoal_unlock(latch) PyMutex_Unlock((PyMutex *)PyCapsule_GetPointer(latch, "shoal.latch"))
    #else
    static inline PyObject *shoal_new_latch(void) { Py_RETURN_NONE; }
    #define shoal_lock(latch)
    #define shoal_unlock(latch)
    #endif
    """
    object new_latch "shoal_new_latch"()
    void lock "shoal_lock"(object latch)
    void unlock "shoal_unlock"(object latch)
