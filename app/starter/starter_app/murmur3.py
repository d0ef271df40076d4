"""MurmurHash3 x86_32 in Python, a piece at a time, so that whoever hashes much can let others run in between."""

from __future__ import annotations

import struct

__all__ = ["finished", "mixed", "murmur3"]

_MASK = 0xFFFFFFFF


def murmur3(data: bytes, seed: int = 0) -> int:
    return finished(mixed(seed, memoryview(data)[: len(data) & ~3]), data[len(data) & ~3 :], len(data))


def mixed(state: int, blocks: bytes | memoryview) -> int:
    """The state after these bytes, a multiple of 4 of them; it begins as the seed."""
    for (block,) in struct.iter_unpack("<I", blocks):
        state ^= _scrambled(block)
        state = (((state << 13 | state >> 19) & _MASK) * 5 + 0xE6546B64) & _MASK
    return state


def finished(state: int, tail: bytes, length: int) -> int:
    """The hash, after all blocks: of the last 0 to 3 bytes, and of how many there were in all."""
    state ^= _scrambled(int.from_bytes(tail, "little")) ^ length
    state = ((state ^ state >> 16) * 0x85EBCA6B) & _MASK
    state = ((state ^ state >> 13) * 0xC2B2AE35) & _MASK
    return state ^ state >> 16


def _scrambled(block: int) -> int:
    block = (block * 0xCC9E2D51) & _MASK
    return ((block << 15 | block >> 17) & _MASK) * 0x1B873593 & _MASK
