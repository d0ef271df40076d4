"""The only place that touches what aiortc keeps to itself, each with what happens should it change.

`tests/transports/test_aiortc_private.py` fails when one of these goes away; at
run time nothing here raises, so that a new aiortc costs speed or a field in a
report, and not the connection.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from aiortc import RTCPeerConnection
from cryptography.hazmat.primitives.hashes import SHA256

__all__ = ["RECEIVE_BUFFER_BYTES", "enlarge_receive_buffers", "peer_fingerprint", "selected_remote_address"]

# The usual 208 KiB overflow while Python is busy: 2.0 MB/s at 20 ms became 6.5 to 7.2 with this.
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
_SO_RCVBUFFORCE = 33  # Linux; beyond the system's limit, for those who may


def _sockets(connection: RTCPeerConnection) -> list[Any]:
    ice: Any = connection.sctp.transport.transport if connection.sctp is not None else None
    protocols: list[Any] = ice._connection._protocols  # noqa: SLF001 - see the module's first lines
    return [protocol.transport.get_extra_info("socket") for protocol in protocols]


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


def peer_fingerprint(connection: RTCPeerConnection) -> str | None:
    """`sha-256 AB:CD:...` of the certificate that the DTLS handshake verified, or None.

    Not taken from the description: that may list several, of which one is true.
    """
    with contextlib.suppress(AttributeError):
        dtls: Any = connection.sctp.transport if connection.sctp is not None else None
        certificate = dtls._ssl.get_peer_certificate(as_cryptography=True)  # noqa: SLF001 - as above
        if certificate is not None:
            digest: bytes = certificate.fingerprint(SHA256())
            return "sha-256 " + digest.hex(":").upper()
    return None


def selected_remote_address(connection: RTCPeerConnection) -> str | None:
    """The IP address at the other end of the nominated candidate pair, or None."""
    with contextlib.suppress(AttributeError):
        ice: Any = connection.sctp.transport.transport if connection.sctp is not None else None
        pair = next(iter(ice._connection._nominated.values()), None)  # noqa: SLF001 - as above
        return None if pair is None else str(pair.remote_addr[0])
    return None
