"""What is private of one RTCPeerConnection, but for its SCTP."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import threading
import weakref
from collections.abc import Callable
from typing import Any

from aioice import ice
from aiortc import RTCPeerConnection
from cryptography.hazmat.primitives.hashes import SHA256

__all__ = [
    "RECEIVE_BUFFER_BYTES",
    "end_consent_when_closed",
    "enlarge_receive_buffers",
    "limit_gathering",
    "peer_fingerprint",
    "renew_names",
    "selected_remote_end",
]

# The usual 208 KiB overflow while Python is busy: 2.0 MB/s at 20 ms became 6.5 to 7.2 with this.
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
_SO_RCVBUFFORCE = 33  # Linux; beyond the system's limit, for those who may


def _sockets(connection: RTCPeerConnection) -> list[Any]:
    ice: Any = connection.sctp.transport.transport if connection.sctp is not None else None
    protocols: list[Any] = ice._connection._protocols
    return [protocol.transport.get_extra_info("socket") for protocol in protocols]


def limit_gathering(connection: RTCPeerConnection, limit_s: float) -> None:
    """Have the connection's next gathering end after that with what it has, instead of aioice's five seconds."""
    with contextlib.suppress(AttributeError):
        ice: Any = connection.sctp.transport.transport if connection.sctp is not None else None
        gatherer = ice._connection
        gatherer.get_component_candidates = functools.partial(gatherer.get_component_candidates, timeout=limit_s)


def end_consent_when_closed(connection: RTCPeerConnection) -> None:
    """Let no question for consent outlive the connection; call before it has a description of the peer's.

    aioice begins to ask once a pair was chosen, also if it was closed in that moment: it would ask nobody, for ever.
    """
    with contextlib.suppress(AttributeError):
        transport: Any = connection.sctp.transport.transport if connection.sctp is not None else None
        connected = transport._connection
        query_consent = connected.query_consent

        async def query() -> None:
            if not connected._closing:
                await query_consent()

        connected.query_consent = query


def enlarge_receive_buffers(connection: RTCPeerConnection) -> int:
    """Ask for RECEIVE_BUFFER_BYTES on each of the connection's UDP sockets; how many were found.

    Call after gathering.  Without it throughput collapses on any path with delay.
    """
    found = 0
    with contextlib.suppress(AttributeError):
        for sock in _sockets(connection):
            found += 1
            try:
                sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
            except OSError:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    return found


class _Names(threading.local):
    loop: Callable[[], asyncio.AbstractEventLoop | None] | None = None  # of whom aioice's state is


_names = _Names()


def renew_names() -> None:
    """Let aioice ask for `.local` names in the running loop.

    It keeps one lock and one socket a thread.  Once two names were asked for at once, the lock belongs to the loop of
    that time, and a socket that was not closed stays with its loop; in the thread's next loop every description of a
    browser would be refused.
    """
    loop = asyncio.get_running_loop()
    if _names.loop is None or _names.loop() is not loop:
        _names.loop = weakref.ref(loop)
        with contextlib.suppress(AttributeError):
            ice._mdns.__dict__.clear()  # made anew at the next name


def peer_fingerprint(connection: RTCPeerConnection) -> str | None:
    """`sha-256 AB:CD:...` of the certificate that the DTLS handshake verified, or None.

    Not taken from the description: that may list several, of which one is true.
    """
    with contextlib.suppress(AttributeError):
        dtls: Any = connection.sctp.transport if connection.sctp is not None else None
        certificate = dtls._ssl.get_peer_certificate(as_cryptography=True)
        if certificate is not None:
            digest: bytes = certificate.fingerprint(SHA256())
            return "sha-256 " + digest.hex(":").upper()
    return None


def selected_remote_end(connection: RTCPeerConnection) -> tuple[str, bool] | None:
    """The address at the other end of the nominated candidate pair, and whether it is a relay's; None without one."""
    with contextlib.suppress(AttributeError):
        ice: Any = connection.sctp.transport.transport if connection.sctp is not None else None
        pair = next(iter(ice._connection._nominated.values()), None)
        if pair is not None:
            return str(pair.remote_addr[0]), pair.remote_candidate.type == "relay"
    return None
