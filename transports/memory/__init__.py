"""A network in memory: hosts, links between them, and everything that can go wrong on a link, from one seed.

    network.py    Network, Host, Conditions: latency, bandwidth, loss as stalls and failures, partitions, clogs
    pipe.py       one direction of one connection: ordered bytes in virtual or real time
    http.py       MemoryFetcher and MemoryServer
    peers.py      MemoryConnector
    sockets.py    MemorySignaling, and the listening side that a simulated tracker needs
    shelf.py      MemoryShelf, which can be full, busy or damaged

All time is the running loop's (`loop.time`, `asyncio.sleep`), so that under a
loop with virtual time a whole swarm runs as fast as it computes, and the same
way for the same seed.  No threads, no sockets, nothing outside the standard
library and msgspec.  The implementations pass the contract of the native ones.
"""

from __future__ import annotations

import hashlib

from .http import MemoryFetcher, MemoryServer
from .network import Conditions, Host, Network
from .peers import MemoryConnector
from .shelf import MemoryShelf
from .sockets import MemorySignaling, listen_text

__all__ = [
    "Conditions",
    "Host",
    "InlineHasher",
    "MemoryConnector",
    "MemoryFetcher",
    "MemoryServer",
    "MemoryShelf",
    "MemorySignaling",
    "Network",
    "listen_text",
]


class InlineHasher:
    """A Hasher that digests at once: in virtual time a thread would finish at a moment of its own choosing."""

    def __init__(self) -> None:
        self._closed = False

    async def sha256(self, data: bytes) -> bytes:
        if self._closed:
            raise RuntimeError("this hasher is closed; make another")
        return hashlib.sha256(data).digest()

    async def aclose(self) -> None:
        self._closed = True
