from libc.stdint cimport int64_t
cimport cython
from . cimport _bound
from .birth cimport Spawner
from .cell cimport Cell
from .ref cimport ActorRef

cdef int _STOPPING


@cython.locals(parent=ActorRef, spawner=Spawner, cell=Cell)
cdef object _spawn_plainly(object self, object actor_class, object args, object kwargs)
cdef object _spawn(ActorRef parent, object actor_class, tuple args, dict kwargs, tuple options)
cdef bint _start_once(ActorRef ref, object key, object message, int64_t delay_us) except -1
cdef bint _cancel(ActorRef ref, object key) except -1
