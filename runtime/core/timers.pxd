cimport cython


@cython.final
cdef class Timer:
    cdef public long long deadline_us
    cdef public long long interval_us
    cdef public object target
    cdef public object payload
    cdef long long _order
    cdef Py_ssize_t _place

    cpdef bint is_set(self) except -1


@cython.final
cdef class Timers:
    cdef list _heap
    cdef long long _orders

    @cython.locals(timer=Timer)
    cpdef Timer set(self, long long deadline_us, object target, object payload=*, long long interval_us=*)
    cpdef int put(self, Timer timer) except -1
    @cython.locals(place=Py_ssize_t, last=Timer)
    cpdef bint cancel(self, Timer timer) except -1
    @cython.locals(first=Timer)
    cpdef long long next_deadline_us(self) except -2
    @cython.locals(first=Timer)
    cpdef Timer pop_due(self, long long now_us)
    @cython.locals(heap=list, above=Timer, above_place=Py_ssize_t)
    cdef int _rise(self, Timer timer, Py_ssize_t place) except -1
    @cython.locals(heap=list, below=Timer, other=Timer, below_place=Py_ssize_t, size=Py_ssize_t)
    cdef int _sink(self, Timer timer, Py_ssize_t place) except -1
