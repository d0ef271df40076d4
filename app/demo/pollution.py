"""Ways to make a peer's segments wrong: each gives what is uploaded in place of a segment.

every     every byte of it
block     64 KiB of it, or all of a smaller one
tail      its last tenth
byte      one byte
other     the segment that was asked for before it: another number's
short     its end is missing
"""

from __future__ import annotations

from collections.abc import Callable

from shoal.balancer.integrity import BLOCK_BYTES
from shoal.balancer.model import ResourceKey

__all__ = ["POLLUTIONS", "Tamper", "changed", "pollution"]

Tamper = Callable[[ResourceKey, bytes], bytes]

_SHORTER = 0.01  # of the length


def changed(share: float) -> Tamper:
    """The last bytes of each segment, that share of it."""

    def tamper(_key: ResourceKey, data: bytes) -> bytes:
        return _with(data, len(data) - round(share * len(data)), len(data))

    return tamper


def pollution(kind: str) -> Tamper:
    """One of POLLUTIONS, anew: some remember what they were given before."""
    return POLLUTIONS[kind]()


def _with(data: bytes, first: int, end: int) -> bytes:
    """The same with every byte from `first` to `end` changed."""
    return data[:first] + bytes(byte ^ 0x55 for byte in data[first:end]) + data[end:]


def _block() -> Tamper:
    def tamper(_key: ResourceKey, data: bytes) -> bytes:
        first = max(0, len(data) - BLOCK_BYTES) // 2
        return _with(data, first, min(first + BLOCK_BYTES, len(data)))

    return tamper


def _byte() -> Tamper:
    def tamper(_key: ResourceKey, data: bytes) -> bytes:
        return _with(data, len(data) // 2, len(data) // 2 + 1)

    return tamper


def _other() -> Tamper:
    before: list[bytes] = []

    def tamper(_key: ResourceKey, data: bytes) -> bytes:
        before.append(data)
        # Of the first there is none before it; turned round it is as long, and none of the stream's either.
        return before.pop(0) if len(before) > 1 else data[::-1]

    return tamper


def _short() -> Tamper:
    def tamper(_key: ResourceKey, data: bytes) -> bytes:
        return data[: len(data) - max(1, round(_SHORTER * len(data)))] if data else data

    return tamper


POLLUTIONS: dict[str, Callable[[], Tamper]] = {
    "every": lambda: changed(1.0),
    "block": _block,
    "tail": lambda: changed(0.1),
    "byte": _byte,
    "other": _other,
    "short": _short,
}
