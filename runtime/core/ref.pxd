from libc.stdint cimport int64_t
from . cimport _threads
from .cell cimport Cell
from .cell cimport queued as _queued
from .scheduler cimport Scheduler

cdef int _STOPPED
cdef double _LONGEST_S

cdef int64_t _microseconds(double seconds) except? -1


cdef class ActorRef:
    cdef object __weakref__
    cdef Cell _cell
    cdef Scheduler _scheduler
