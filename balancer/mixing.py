"""Numbers that look random and are not: ties are broken by them.

Decisions take no randomness, and Python's own `hash` of a text differs from run
to run.  The finalizer is lowbias32 (C. Wellons, "Prospecting for Hash Functions").
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ["mix", "mix_three", "share", "text_number"]

_MASK = 0xFFFFFFFF
_START = 0x9E3779B9
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B  # of lowbias32
_TEXTS_MAX = 4096  # names of peers are asked for again with every decision


def mix(*numbers: int) -> int:
    """32 bits that depend on every argument and on their order."""
    x = _START
    for number in numbers:
        x = _mixed(x, number & _MASK)
    return x


def mix_three(first: int, second: int, third: int) -> int:
    """The same of three numbers of 63 bits at most, as decisions ask for again and again."""
    return _mixed(_mixed(_mixed(_START, first & _MASK), second & _MASK), third & _MASK)


def _mixed(x: int, number: int) -> int:
    """One more number, of 32 bits, mixed into 32 bits.

    By names that the twin declares: written here, numbers of more than 31 bits are objects of Python to Cython.
    """
    x ^= number
    x = ((x ^ (x >> 16)) * _FIRST) & _MASK
    x = ((x ^ (x >> 15)) * _SECOND) & _MASK
    return x ^ (x >> 16)


def share(*numbers: int) -> float:
    """The same as a number from 0 up to, and without, 1."""
    return mix(*numbers) / (_MASK + 1)


@lru_cache(_TEXTS_MAX)
def text_number(text: str) -> int:
    """32 bits of a name (FNV-1a), the same in every run."""
    x = 0x811C9DC5
    for byte in text.encode():
        x = ((x ^ byte) * 0x01000193) & _MASK
    return x
