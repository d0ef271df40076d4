cimport cython
from .birth cimport Spawner
from .cell cimport Cell
from .handle cimport Handle

cdef int _STOPPING


@cython.locals(spawner=Spawner, cell=Cell)
cdef object _spawn_plainly(Handle parent, object actor_class, tuple args, dict kwargs)
cdef object _spawn(Handle parent, object actor_class, tuple args, dict kwargs, tuple options)
