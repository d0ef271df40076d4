# Locks for what another thread may look at: which actor runs now, and on what message.
# Stands in for the module `guard` in compiled code.  Under a GIL there is nothing to
# do, and nothing is compiled.  Without one, an object that is read while its owner
# stores another may be freed between the reader's load and its count of references.
#
# The locks are a table by the address of the object that is looked at, so that no
# object has one of its own: 64, a cache line each, since a table of one would be
# fought for by all schedulers after every message.
cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    typedef struct { PyMutex mutex; char padding[63]; } shoal_line;
    static shoal_line shoal_lines[64];
    static inline PyMutex *shoal_mutex_of(void *o) {
        return &shoal_lines[(((size_t)o >> 4) ^ ((size_t)o >> 12)) & 63].mutex;
    }
    #define SHOAL_IS_FREE 1
    #define shoal_guard_lock(o) PyMutex_Lock(shoal_mutex_of((void *)(o)))
    #define shoal_guard_unlock(o) PyMutex_Unlock(shoal_mutex_of((void *)(o)))
    #else
    #define SHOAL_IS_FREE 0
    #define shoal_guard_lock(o)
    #define shoal_guard_unlock(o)
    #endif
    """
    const bint IS_FREE "SHOAL_IS_FREE"
    void lock "shoal_guard_lock"(object owner)
    void unlock "shoal_guard_unlock"(object owner)
