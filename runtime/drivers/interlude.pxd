cimport cython
from . cimport _contexts


@cython.final
cdef class Interlude:
    cdef object _loop
    cdef object _task

    cpdef void step_begins(self) except *
    cpdef bint begin(self, object context) except -1
    cpdef void end(self, object context) except *
