cimport cython
from libc.stdint cimport int64_t
from .agenda cimport Agenda
from .flows cimport Flow, FlowNetwork, Link

cdef int64_t _MSS_BYTES
cdef int64_t _FIRST_PACKETS
cdef double _CAP_MAX


@cython.final
cdef class Cdn:
    cdef readonly object spec
    cdef readonly Link link
    cdef public int64_t sent_bytes

    cpdef object fault(self, int64_t now_us)


@cython.final
cdef class World:
    cdef readonly object scenario
    cdef public int64_t now_us
    cdef readonly FlowNetwork network
    cdef readonly dict cdns
    cdef Agenda _agenda
    cdef dict _peaks
    cdef int64_t _segments
    cdef int64_t _segment_us
    cdef public int64_t event_count
    cdef readonly dict swarms
    cdef dict _listings
    cdef readonly list viewers

    cpdef void at(self, int64_t time_us, object callback, tuple arguments) except *
    @cython.locals(agenda=Agenda)
    cdef void _run_until(self, int64_t before_us) except *
    cpdef int64_t available(self) except -1
    cpdef object listing(self, object rendition)
    @cython.locals(segments=tuple, place=int64_t)
    cpdef object key(self, object rendition, int64_t number)
    @cython.locals(flow=Flow, most=double, first=double)
    cpdef Flow start_flow(self, tuple links, int64_t byte_count, int64_t rtt_us, double loss, object cap, object owner)
    cpdef void stop_flow(self, Flow flow) except *
    cpdef void set_cap(self, Flow flow, double cap) except *
    cpdef void set_capacity(self, Link link, double capacity) except *
    cpdef void sent_by_cdn(self, Cdn cdn, int64_t byte_count) except *
    @cython.locals(cap=double)
    cpdef void _grow(self, Flow flow, int64_t rtt_us, double most) except *
    @cython.locals(flow=Flow)
    cdef void _reschedule(self) except *
