cimport cython
from .birth cimport Spawner
from .cell cimport Cell
from .ref cimport ActorRef

cdef int _STOPPING


@cython.locals(spawner=Spawner, cell=Cell)
cdef object _spawn_plainly(ActorRef parent, object actor_class, tuple args, dict kwargs)
cdef object _spawn(ActorRef parent, object actor_class, tuple args, dict kwargs, tuple options)
