"""web/murmur3.c as a function, where `make native` could compile it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

__all__ = ["LIBRARY", "load"]

LIBRARY = Path(__file__).resolve().parent.parent / "build" / "libmurmur3.so"


def load(library: Path = LIBRARY) -> Callable[[bytes, int], int] | None:
    """`murmur3(data, seed)`, or None where nothing was compiled."""
    if not library.is_file():
        return None
    function = ctypes.CDLL(str(library)).murmur3
    function.argtypes = (ctypes.c_char_p, ctypes.c_uint32, ctypes.c_uint32)
    function.restype = ctypes.c_uint32
    return lambda data, seed: int(function(data, len(data), seed))
