cimport cython
from . cimport _stops
from .timers cimport Timer

cdef int _FAILED


@cython.final
cdef class Reply:
    cdef public object scheduler
    cdef public object cell
    cdef public object message
    cdef public bint is_question
    cdef public bint is_hasty
    cdef public int state
    cdef public object value
    cdef public Timer timer
    cdef public Reply link
    cdef public object waiter
    cdef public object callback
    cdef public object context
    cdef public object _asyncio_future_blocking


@cython.locals(reply=Reply)
cpdef Reply new_reply(object scheduler, object cell, object message)
