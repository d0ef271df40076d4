from . cimport _threads
from .cell cimport Cell
from .scheduler cimport Scheduler

cdef int _STOPPED


cdef class ActorRef:
    cdef object __weakref__
    cdef Cell _cell
    cdef Scheduler _scheduler
