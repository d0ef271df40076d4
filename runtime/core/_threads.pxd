# The number of the running thread without a Python call; stands in for the
# module `threading` in compiled code.
cdef extern from "pythread.h":
    long long get_ident "(long long)PyThread_get_thread_ident"()
