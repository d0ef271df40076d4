cimport cython
from libc.stdint cimport int64_t

cdef Py_ssize_t _KEPT_CAPACITY


@cython.final
cdef class Timer:
    cdef public int64_t deadline_us
    cdef public int64_t interval_us
    cdef public object target
    cdef public object key
    cdef public object payload
    cdef int64_t _order
    cdef Py_ssize_t _place

    cpdef bint is_set(self) except -1


# Not final: what Python keeps of an actor besides inherits it.
cdef class TimerOwner:
    cdef public dict timers


@cython.final
cdef class Timers:
    cdef list _heap
    cdef Py_ssize_t _count
    cdef int64_t _orders

    @cython.locals(timer=Timer)
    cpdef Timer set(self, int64_t deadline_us, object target, object payload=*, int64_t interval_us=*, object key=*)
    @cython.locals(timer=Timer)
    cdef Timer make(self, int64_t deadline_us, object target, object payload, int64_t interval_us, object key)
    @cython.locals(count=Py_ssize_t)
    cpdef void put(self, Timer timer) except *
    @cython.locals(place=Py_ssize_t, count=Py_ssize_t, last=Timer)
    cpdef bint cancel(self, Timer timer) except -1
    @cython.locals(first=Timer)
    cpdef int64_t next_deadline_us(self) except -2
    @cython.locals(first=Timer)
    cpdef Timer pop_due(self, int64_t now_us)
    @cython.locals(heap=list, above=Timer, above_place=Py_ssize_t)
    cdef void _rise(self, Timer timer, Py_ssize_t place) except *
    @cython.locals(heap=list, below=Timer, other=Timer, below_place=Py_ssize_t, size=Py_ssize_t)
    cdef void _sink(self, Timer timer, Py_ssize_t place) except *
