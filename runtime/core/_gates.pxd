# What a thread waits at without the GIL, in one step with letting another through.
# Stands in for `gates.py` in compiled code.
#
# Two threads that hand each other the GIL by Python's locks take 13 us for a round
# trip on one core: whoever is let through runs into the GIL, which the other holds
# until it waits itself.  In this order, GIL back, other gate open, wait at one's own,
# it is 4 us: two system calls each way.  Where there are no threads, nobody waits.
cdef extern from *:
    """
    #if defined(__EMSCRIPTEN__)
    static inline PyObject *shoal_new_gate(void) { Py_RETURN_NONE; }
    static inline int shoal_open_gate(PyObject *gate) { (void)gate; return 0; }
    static inline int shoal_swap(PyObject *opened, PyObject *gate, long long timeout_us) {
        (void)opened; (void)gate; (void)timeout_us;
        return 1;
    }
    #else
    #include "pythread.h"
    static void shoal_free_gate(PyObject *gate) { PyThread_free_lock(PyCapsule_GetPointer(gate, "shoal.gate")); }
    static inline PyObject *shoal_new_gate(void) {
        PyObject *gate;
        PyThread_type_lock lock = PyThread_allocate_lock();
        if (!lock) return PyErr_NoMemory();
        PyThread_acquire_lock(lock, WAIT_LOCK);
        gate = PyCapsule_New(lock, "shoal.gate", shoal_free_gate);
        if (!gate) PyThread_free_lock(lock);
        return gate;
    }
    static inline int shoal_open_gate(PyObject *gate) {
        PyThread_type_lock lock = PyCapsule_GetPointer(gate, "shoal.gate");
        if (!lock) return -1;
        PyThread_release_lock(lock);
        return 0;
    }
    static inline int shoal_swap(PyObject *opened, PyObject *gate, long long timeout_us) {
        PyThread_type_lock other = NULL, mine = PyCapsule_GetPointer(gate, "shoal.gate");
        int passed;
        if (!mine) return -1;
        if (opened != Py_None && !(other = PyCapsule_GetPointer(opened, "shoal.gate"))) return -1;
        Py_BEGIN_ALLOW_THREADS
        if (other) PyThread_release_lock(other);
        passed = PyThread_acquire_lock_timed(mine, timeout_us, 0) == PY_LOCK_ACQUIRED;
        Py_END_ALLOW_THREADS
        return passed;
    }
    #endif
    """
    object new_gate "shoal_new_gate"()
    int open_gate "shoal_open_gate"(object gate) except -1
    bint swap "shoal_swap"(object opened, object gate, long long timeout_us) except -1
