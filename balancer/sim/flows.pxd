cimport cython
from libc.stdint cimport int64_t

cdef double _NEAR


@cython.final
cdef class Link:
    cdef public object name
    cdef public double capacity
    cdef public double load
    cdef public dict flows
    cdef public dict bound

    cpdef bint is_full(self) except -1


@cython.final
cdef class Flow:
    cdef public int64_t number
    cdef public tuple links
    cdef public double left_bytes
    cdef public double cap
    cdef public double rate
    cdef public Link bottleneck
    cdef public int64_t updated_us
    cdef public object owner

    @cython.locals(moved=double)
    cpdef void settle(self, int64_t now_us) except *


@cython.final
cdef class FlowNetwork:
    cdef int64_t _flow_count
    cdef dict _changed

    @cython.locals(flow=Flow, link=Link)
    cpdef Flow start(self, object links, object byte_count, double cap, int64_t now_us)
    @cython.locals(link=Link)
    cpdef void stop(self, Flow flow, int64_t now_us) except *
    cpdef void set_capacity(self, Link link, double capacity, int64_t now_us) except *
    @cython.locals(link=Link)
    cpdef void set_cap(self, Flow flow, double cap, int64_t now_us) except *
    cpdef list take_changed(self)
    @cython.locals(links=dict, wider=dict, flow=Flow, link=Link)
    cdef void _solve(self, dict region, tuple touched, int64_t now_us) except *
    @cython.locals(rate=double, free=double, bottleneck=Link, link=Link)
    cdef void _fill_one(self, Flow flow, dict links, int64_t now_us) except *
    @cython.locals(members=dict, free=dict, count=dict, heap=list, order=list, frozen=dict, settled=list,
                   flow=Flow, link=Link, bottleneck=Link, level=double, now_level=double)
    cdef void _fill(self, dict region, dict links, int64_t now_us) except *
    @cython.locals(link=Link)
    cdef void _set_rate(self, Flow flow, double rate, Link bottleneck, int64_t now_us) except *


@cython.locals(least=double, most=double, is_bound=bint, has_more=bint, has_less=bint, flow=Flow)
cdef void _add_breakers(Link link, dict region, dict wider) except *
