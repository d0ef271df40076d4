cimport cython

cdef Py_ssize_t _FIRST_CAPACITY
cdef Py_ssize_t _KEPT_CAPACITY
cdef Py_ssize_t _URGENT_IN_A_ROW


@cython.final
cdef class Mailbox:
    cdef readonly Py_ssize_t count
    cdef public Py_ssize_t limit
    cdef readonly bint is_large
    cdef readonly bint is_passed
    cdef public object control
    cdef readonly object urgent
    cdef public object waiting
    cdef public object settings
    cdef public Mailbox next
    cdef list _ring
    cdef Py_ssize_t _capacity
    cdef Py_ssize_t _head
    cdef Py_ssize_t _row

    cpdef bint push(self, object item) except -1
    cpdef void put_back(self, object item) except *
    cpdef object pop(self)
    @cython.locals(head=Py_ssize_t)
    cpdef object pop_oldest(self)
    cpdef void push_control(self, object item) except *
    cpdef void push_urgent(self, object item) except *
    cpdef Py_ssize_t urgent_count(self) except -1
    cpdef bint has_messages(self) except -1
    cpdef bint is_bare(self) except -1
    cpdef void reuse(self, Py_ssize_t limit) except *
    @cython.locals(old=list, ring=list, i=Py_ssize_t)
    cdef void _resize(self, Py_ssize_t capacity) except *
