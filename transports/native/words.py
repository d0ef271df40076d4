"""What went wrong, as aiohttp and the operating system know it, in words that a viewer can use.

Their own texts name attributes of objects ("ssl:default [Connect call failed ...]")
and change with their versions; ours end in messages that are compared and shown.
"""

from __future__ import annotations

import os
import ssl

import aiohttp

__all__ = ["in_words"]

_CHARACTERS_MAX = 200  # texts of TLS and of servers may quote whatever they met


def in_words(error: BaseException) -> str:
    """Half a sentence for an error of aiohttp's or a socket's; never empty."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            cause: BaseException = error.certificate_error
            return f"its certificate is not trusted ({getattr(cause, 'verify_message', '') or _short(cause)})"
        case aiohttp.ClientConnectorDNSError():
            return f"its name was not found ({error.os_error.strerror or _short(error.os_error)})"
        case aiohttp.ClientConnectorError():
            return in_words(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection"
        case aiohttp.ClientPayloadError():
            return "it ended before its end was due"
        case ssl.SSLError():
            why = getattr(error, "reason", None)  # WRONG_VERSION_NUMBER and the like, when OpenSSL gave one
            return f"TLS failed ({why.replace('_', ' ').lower()})" if why else "TLS failed"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number).lower()
        case OSError() if str(error).startswith("Multiple exceptions"):  # asyncio's, for a name with several addresses
            return "none of its addresses could be reached"
    return _short(error)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:_CHARACTERS_MAX] or type(error).__name__
