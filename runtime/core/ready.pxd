cimport cython
from libc.stdint cimport int64_t
from .cell cimport Cell

cdef Py_ssize_t _KEPT_CAPACITY


@cython.final
cdef class ReadyQueue:
    cdef readonly Py_ssize_t count
    cdef int64_t _lead_ns
    cdef readonly int64_t floor_ns
    cdef int64_t _orders
    cdef Cell _only
    cdef list _heap

    @cython.locals(heap=list, above=Cell, place=Py_ssize_t, above_place=Py_ssize_t, floor_ns=int64_t)
    cpdef bint push(self, Cell cell) except -1
    @cython.locals(
        heap=list, first=Cell, only=Cell, cell=Cell, below=Cell, other=Cell,
        size=Py_ssize_t, place=Py_ssize_t, below_place=Py_ssize_t,
    )
    cpdef Cell pop(self)
    @cython.locals(
        heap=list, last=Cell, above=Cell, below=Cell,
        size=Py_ssize_t, place=Py_ssize_t, above_place=Py_ssize_t, below_place=Py_ssize_t,
    )
    cpdef void remove(self, Cell cell) except *


cdef bint _is_before(Cell one, Cell other) except -1


cpdef int64_t weighed(int64_t used_ns, int64_t weight) except -1
