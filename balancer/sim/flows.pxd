cimport cython
from libc.stdint cimport int64_t

cdef double _NEAR
cdef Py_ssize_t _FEW


@cython.final
cdef class Link:
    cdef public object name
    cdef public double capacity
    cdef public double load
    cdef public dict flows
    cdef public dict bound
    cdef int64_t mark
    cdef double free
    cdef double level
    cdef int64_t count

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
    cdef int64_t mark
    cdef int64_t frozen

    @cython.locals(moved=double)
    cpdef void settle(self, int64_t now_us) except *
    cpdef object done_us(self)


@cython.final
cdef class FlowNetwork:
    cdef int64_t _flow_count
    cdef int64_t _marks
    cdef dict _changed

    @cython.locals(flow=Flow, link=Link)
    cpdef Flow start(self, object links, object byte_count, double cap, int64_t now_us)
    @cython.locals(link=Link)
    cpdef void stop(self, Flow flow, int64_t now_us) except *
    cpdef void set_capacity(self, Link link, double capacity, int64_t now_us) except *
    cpdef void set_cap(self, Flow flow, double cap, int64_t now_us) except *
    cpdef list take_changed(self)
    @cython.locals(link=Link, other=Flow, region=list)
    cdef list _bound_to(self, Flow flow)
    @cython.locals(links=list, flow=Flow, link=Link, count=Py_ssize_t)
    cdef void _solve(self, list region, tuple touched, int64_t now_us) except *
    @cython.locals(rate=double, free=double, bottleneck=Link, link=Link)
    cdef void _fill_one(self, Flow flow, list links, int64_t now_us) except *
    @cython.locals(mark=int64_t, left=Py_ssize_t, level=double, now_level=double, bottleneck=Link, first=Flow,
                   link=Link, flow=Flow, is_lower=bint)
    cdef void _fill_few(self, list region, list links, int64_t now_us) except *
    @cython.locals(mark=int64_t, members=dict, heap=list, settled=list, flow=Flow, link=Link, bottleneck=Link,
                   at=Py_ssize_t, place=Py_ssize_t, level=double, now_level=double)
    cdef void _fill_many(self, list region, list links, int64_t now_us) except *
    @cython.locals(link=Link)
    cdef void _freeze(self, Flow flow, double rate, Link bottleneck, int64_t mark, int64_t now_us) except *
    @cython.locals(link=Link)
    cdef void _set_rate(self, Flow flow, double rate, Link bottleneck, int64_t now_us) except *


cdef void _take_in(Link link, list links, int64_t mark) except *
@cython.locals(link=Link, flow=Flow)
cdef void _prepare(list region, list links) except *
@cython.locals(least=double, most=double, is_bound=bint, has_more=bint, has_less=bint, flow=Flow)
cdef void _add_breakers(Link link, list region, int64_t mark) except *
