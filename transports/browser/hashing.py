"""Hasher on crypto.subtle, which digests outside the page's own thread.

Small data is digested at once: the way to `crypto.subtle` and back costs more.  It
takes all of its data in one call, which copies it twice on the page's thread: large
data is digested here, in pieces, and the page goes on between them.  So is all data in
a page that is not a secure context (http, and not loopback), which has no
`crypto.subtle`.  At most `waiting_max` digests wait; the next caller waits for a place.
"""

from __future__ import annotations

import asyncio
import hashlib

from .page import from_js_bytes, js, to_js_bytes

__all__ = ["SubtleHasher"]

_PIECE_BYTES = 256 * 1024  # about 1 ms of WebAssembly, a quarter of a slice
_SUBTLE_BYTES_MAX = 1024 * 1024  # about 2 ms of copies: 4 MiB held the thread for 8 at least, and pieces take 13 in all


class SubtleHasher:
    """A Hasher."""

    def __init__(
        self, *, inline_bytes_max: int = 4096, waiting_max: int = 32, is_subtle_used: bool | None = None
    ) -> None:
        """`waiting_max` digests hold their data alive, twice.  `is_subtle_used`: None takes what is there."""
        self._inline_bytes_max = inline_bytes_max
        self._places = asyncio.Semaphore(waiting_max)
        self._is_subtle_used = bool(js.isSecureContext) if is_subtle_used is None else is_subtle_used
        self._closed = False

    async def sha256(self, data: bytes) -> bytes:
        """32 bytes.  RuntimeError after `aclose`."""
        self._check_open()
        if len(data) <= self._inline_bytes_max:
            return hashlib.sha256(data).digest()
        async with self._places:
            self._check_open()
            if self._is_subtle_used and len(data) <= _SUBTLE_BYTES_MAX:
                return from_js_bytes(await js.crypto.subtle.digest("SHA-256", to_js_bytes(data)))
            return await _in_pieces(data)

    async def aclose(self) -> None:
        """Those waiting for a place fail; digests under way finish by themselves."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this hasher is closed; make another")


async def _in_pieces(data: bytes) -> bytes:
    digest = hashlib.sha256()
    view = memoryview(data)
    for start in range(0, len(view), _PIECE_BYTES):
        digest.update(view[start : start + _PIECE_BYTES])
        await asyncio.sleep(0)
    return digest.digest()
