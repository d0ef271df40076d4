"""Who may ask the local proxy: decided on the headers of a request, before anything is done for it.

    Host            must name this machine by a loopback name, or a web page elsewhere could reach us under a name
                    of its own that resolves to 127.0.0.1 (DNS rebinding)                                      421
    Origin          of a page: a loopback one, or one that was allowed                                         403
    Sec-Fetch-Site  a page of another site that embeds us without asking (no-cors) sends no Origin             403
    Authorization   the bearer token, where one is set (RFC 6750); preflights and /health go without           401

A browser never lets a page write the first three.  Sans-IO: headers in, a refusal or None out.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable

import msgspec

from shoal.balancer.errors import ConfigurationError
from shoal.transports.interface import ServerRequest
from shoal.transports.sansio.hosts import Authority, Origin, parse_authority, parse_origin

__all__ = ["Border", "Refusal"]

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # b64token (RFC 6750, 2.1)
_TOKEN_CHARACTERS_MIN = 16  # 96 bits as base64: not to be guessed, even without a limit on guesses
_OPEN_PATHS = frozenset({"/health"})  # whoever watches the process holds no token, and learns nothing of the stream


class Refusal(msgspec.Struct, frozen=True):
    status: int
    line: str
    headers: dict[str, str] = {}


class Border:
    """The rules of one proxy.  ConfigurationError for an origin or a token that no request could match."""

    def __init__(self, *, allowed_origins: Iterable[str] = (), token: str | None = None) -> None:
        self._allowed = {_origin(text) for text in allowed_origins}
        if token is not None and (len(token) < _TOKEN_CHARACTERS_MIN or not _TOKEN.fullmatch(token)):
            raise ConfigurationError(
                f"the token has {len(token)} characters; use {_TOKEN_CHARACTERS_MIN} or more of letters, digits and "
                "-._~+/ (python -c 'import secrets; print(secrets.token_urlsafe())' makes one)"
            )
        self._expected = None if token is None else token.encode()
        self._host: str | None = None  # of the last request that had one of ours: nearly always that of the next

    def refusal(self, request: ServerRequest) -> Refusal | None:
        """Why `request` is not answered; None if it may be."""
        headers = request.headers
        named = headers.get("host", "")
        if named != self._host:
            host = parse_authority(named)
            if host is None or not host.is_loopback:
                return Refusal(421, "this proxy answers to 127.0.0.1, [::1] and localhost only")
            self._host = named
        origin = headers.get("origin")
        if origin is not None:
            if not self._may_read(origin):
                return Refusal(403, f"pages of {origin[:100]!r} may not read this stream; see --allow-origin")
        elif headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-dest") != "document":
            return Refusal(403, "a page of another site has to ask with its Origin; add the crossorigin attribute")
        if self._expected is None or request.method == "OPTIONS" or request.path in _OPEN_PATHS:
            return None
        return None if self._is_authorized(headers.get("authorization", "")) else _UNAUTHORIZED

    def _may_read(self, text: str) -> bool:
        origin = parse_origin(text)
        return origin is not None and (Authority(origin.name).is_loopback or origin in self._allowed)

    def _is_authorized(self, header: str) -> bool:
        assert self._expected is not None
        scheme, _, token = header.partition(" ")
        # In time that says nothing of how much was right.
        return scheme.lower() == "bearer" and hmac.compare_digest(
            token.strip(" ").encode("utf-8", "surrogateescape"),  # as aiohttp reads bytes that are no text
            self._expected,
        )


_UNAUTHORIZED = Refusal(
    401, "this proxy asks for its token: Authorization: Bearer TOKEN", {"www-authenticate": 'Bearer realm="shoal"'}
)


def _origin(text: str) -> Origin:
    origin = parse_origin(text)
    if origin is None:
        raise ConfigurationError(f"{text!r} is no web origin; write it as https://tv.example or http://tv.example:8080")
    return origin
