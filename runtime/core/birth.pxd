cimport cython
from libc.stdint cimport int64_t
from .cell cimport Cell
from .scheduler cimport Scheduler

cdef int _RUNNING
cdef int _STARTING


@cython.final
cdef class Kind:
    cdef readonly object actor_class
    cdef readonly object create
    cdef readonly object function
    cdef readonly bint has_init
    cdef readonly bint has_on_start


@cython.locals(cell=Cell)
cpdef Cell begin(
    Scheduler scheduler, object ref_class, Cell parent, object name, int64_t serial, object settings, object recipe
)
cpdef void make(Cell cell, Kind kind, tuple args, dict kwargs) except *
