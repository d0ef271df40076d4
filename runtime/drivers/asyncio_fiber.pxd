cimport cython
from . cimport _contexts
from shoal.runtime.core.reply cimport Reply


@cython.final
cdef class AsyncioFiber:
    cdef object __weakref__
    cdef public object cell
    cdef public object value
    cdef Py_ssize_t _cancels
    cdef object _context
    cdef object _coroutine
    cdef list _end
    cdef object _loop
    cdef object _name
    cdef list _on_done
    cdef object _resume
    cdef object _throw
    cdef object _waits_for

    cpdef bint step(self) except -1
    cdef void _is_over(self) except *
    @cython.locals(reply=Reply)
    cdef void _wait_for(self, object yielded) except *
