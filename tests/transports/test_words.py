"""Errors of aiohttp and of sockets, as people read them."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from shoal.transports.native.words import in_words

KEY = ConnectionKey("cdn.test", 443, True, True, None, None, None)
REFUSED = OSError(errno.ECONNREFUSED, "Connect call failed ('192.0.2.1', 443)")
UNTRUSTED = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ClientConnectorError(KEY, REFUSED), "connection refused"),
        (
            aiohttp.ClientConnectorError(KEY, OSError("Multiple exceptions: [Errno 111] Connect call failed")),
            "addresses",
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name or service not known")),
            "its name was not found (Name or service not known)",
        ),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(None, "cdn.test has no address")), "cdn.test has no address"),
        (aiohttp.ClientConnectorCertificateError(KEY, UNTRUSTED), "its certificate is not trusted"),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong")), "TLS failed"),
        (aiohttp.ServerDisconnectedError(), "it closed the connection"),
        (
            aiohttp.ClientPayloadError("Response payload is not completed: <ContentLengthError>"),
            "before its end was due",
        ),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "connection reset by peer"),
        (ConnectionResetError(), "ConnectionResetError"),
        (aiohttp.ClientError("a text\nof   its own"), "a text of its own"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_error_is_told_in_our_words(error: Exception, words: str) -> None:
    told = in_words(error)
    assert words in told
    for theirs in ("ssl:", "Connect call failed", "Errno", "payload", "\n"):
        assert theirs not in told
