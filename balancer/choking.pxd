cimport cython
from libc.stdint cimport int64_t


@cython.final
cdef class Account:
    cdef public bint gave
    cdef public int64_t held_count
    cdef public int64_t refusals

    cpdef bint rides_free(self) except -1


@cython.final
cdef class Choking:
    cdef readonly dict _accounts
    cdef dict _running

    @cython.locals(account=Account)
    cpdef void heard(self, object peer, int64_t held_count) except *
    @cython.locals(account=Account)
    cpdef void got(self, object peer) except *
    @cython.locals(account=Account)
    cpdef void refused(self, object peer) except *
    cpdef void leave(self, object peer) except *
    cpdef void begin(self, object peer) except *
    cpdef void end(self, object peer) except *
    @cython.locals(account=Account)
    cpdef bint rides_free(self, object peer) except -1
    cpdef bint must_wait(self, object peer) except -1
    @cython.locals(account=Account)
    cpdef Account account(self, object peer)
