cimport cython
from libc.stdint cimport int64_t
from . cimport _roots
from .cell cimport Cell, adopt, begin
from .ref cimport ActorRef
from .scheduler cimport Scheduler

cdef int _RUNNING
cdef int _STARTING
cdef Py_ssize_t _KINDS_MAX


@cython.final
cdef class Kind:
    cdef readonly object actor_class
    cdef readonly object function
    cdef readonly bint has_init
    cdef readonly bint has_on_start
    cdef readonly bint has_on_stop
    cdef bint is_plain
    cdef Py_ssize_t place_of_ref


@cython.final
cdef class Spawner:
    cdef public object host
    cdef public Scheduler scheduler
    cdef public object ref_class
    cdef public object mailbox
    cdef public object start_signal
    cdef public object default_restart
    cdef public bint is_open
    cdef public int64_t actors
    cdef public int64_t serial
    cdef dict _kinds
    cdef Kind _last_kind

    @cython.locals(cell=Cell, kind=Kind)
    cpdef object spawn(self, Cell parent, object actor_class, tuple args, dict kwargs)
    cdef void _make_or_end(self, Cell cell, Kind kind, tuple args, dict kwargs) except *
    @cython.locals(cell=Cell, handle=ActorRef)
    cpdef Cell begin(self, Cell parent, object name, object mailbox, object recipe)
    cpdef void adopt(self, Cell parent, Cell cell) except *
    @cython.locals(kind=Kind)
    cpdef Kind kind_of(self, object actor_class)
    cpdef void make(self, Cell cell, Kind kind, tuple args, dict kwargs) except *


cpdef void unroot(Cell cell) except *
@cython.locals(handle=ActorRef)
cpdef void unroot_ref(Cell cell) except *
