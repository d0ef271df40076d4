from .cell cimport Cell
from .scheduler cimport Scheduler


cdef class Handle:
    cdef object __weakref__
    cdef Cell _cell
    cdef Scheduler _scheduler
