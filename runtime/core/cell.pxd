cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t
from . cimport _roots
from .mailbox cimport Mailbox
from .reply cimport Reply
from .stats cimport Stats
from .timers cimport TimerOwner


@cython.final
cdef class Cell:
    # What each message touches comes first, and lies close together: a hundred actors' share of it fits the fastest cache.
    # Eight bytes of small fields: what is left of them would be a gap.
    cdef public uint8_t state
    cdef public uint8_t is_open
    cdef public uint8_t is_scheduled
    cdef public uint8_t is_ready
    cdef public uint8_t is_signalled
    cdef public uint8_t is_resumable
    cdef public uint16_t weight
    cdef public object only_message
    cdef public Mailbox mailbox
    cdef public object function
    cdef public object actor
    cdef public int64_t virtual_ns
    cdef public int64_t order
    cdef public object signals
    cdef public object continuation
    cdef public Reply reply
    cdef public Stats stats
    cdef public object fiber
    cdef public object message
    cdef public object handle
    cdef public object settings
    cdef public TimerOwner extras
    cdef public Cell parent
    cdef public Cell last_child
    cdef public Cell previous_sibling
    cdef public Cell next_sibling
    cdef public object name
    cdef public int64_t serial
    cdef public object recipe
    cdef public int in_flight
    cdef public int backlog


# A class with cdef methods has a pointer to their table in each instance: functions instead.
cpdef int begin(Cell cell, Cell parent, object name, object settings, object recipe) except -1
cpdef Py_ssize_t queued(Cell cell) except -1
cpdef int adopt(Cell parent, Cell child) except -1
cpdef int disown(Cell parent, Cell child) except -1
