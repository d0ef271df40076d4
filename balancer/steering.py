"""When to ask a steering server, and what its answers mean: a client of content steering, without a socket.

    draft-pantos-hls-rfc8216bis, 4.4.6.6, 7.1 and 7.2; ETSI TS 103 998 says the same for DASH

    state     what happened                  then
    waiting   due() once its time has come   asking: the URL to load, with _HLS_pathway and _HLS_throughput
                                             (for DASH, _DASH_pathway in quotes and _DASH_throughput)
    asking    came(): a manifest             waiting for its TTL; RELOAD-URI is asked from now on
    asking    came(): no manifest            waiting, as after an error
    asking    failed(): 410                  ended: what was said last holds to the end
    asking    failed(): 429                  waiting for Retry-After, or as after an error
    asking    failed(): anything else        waiting for the last TTL (300 s where there was none), doubled with each
                                             error in a row, up to 300 s or the TTL

It never gives up but for a 410: a server that turned one request away, or was down
for a while, is followed again.  The first manifest may be in the playlist itself,
as a data: URI; without a RELOAD-URI in it there is nobody to ask again.

Left to others: loading, timers, and what becomes of the pathways (pathways.py).
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_plus, unquote_to_bytes, urlencode, urlsplit

from .errors import SteeringError, SteeringMalformed
from .formats.steering import TTL_US, SteeringManifest, parse_manifest

__all__ = ["SteeringClient"]

_RETRY_US_MIN = 1_000_000  # "Retry-After: 0" is no invitation to ask at once for ever
_RETRY_US_MAX = 86_400_000_000
_ERROR_US_MAX = TTL_US  # a server that is well again is missed no longer than one of no known TTL
_DOUBLINGS_MAX = 16
_GONE = 410
_TOO_MANY = 429
_HLS = ("_HLS_pathway", "_HLS_throughput")
_DASH = ("_DASH_pathway", "_DASH_throughput")


class SteeringClient:
    """One session's; `due_us` says when due() has something to do, None while asking and once it has ended."""

    def __init__(self, server_uri: str, *, is_dash: bool = False) -> None:
        """`server_uri` is absolute: http, https, or data."""
        self._uri: str | None = server_uri
        self._is_dash = is_dash
        self._ttl_us = TTL_US
        self._failures = 0  # in a row
        self.due_us: int | None = 0
        self.manifest: SteeringManifest | None = None  # the last good one
        self.asked_count = 0

    @property
    def has_ended(self) -> bool:
        return self._uri is None

    @property
    def inline(self) -> str | None:
        """The data: URI, while that is what would be asked; it is read by `read_inline`."""
        return self._uri if self._uri is not None and self._uri.startswith("data:") else None

    def due(self, now_us: int, *, pathway: str | None, throughput_bps: int | None) -> str | None:
        """The URL to load now, or None.  `throughput_bps` is what was measured on `pathway`; None: nothing yet."""
        if self.due_us is None or self._uri is None or now_us < self.due_us or self.inline is not None:
            return None
        self.due_us = None
        self.asked_count += 1
        return _asked(self._uri, pathway, throughput_bps, is_dash=self._is_dash)

    def read_inline(self, now_us: int) -> SteeringManifest:
        """The manifest that stands in the playlist itself.  SteeringError."""
        uri = self.inline
        assert uri is not None, "there is none"
        self.due_us = None
        self._uri = None  # what cannot be read now cannot be read later
        manifest = parse_manifest(_data(uri), uri)
        self._take(manifest, now_us)
        return manifest

    def came(self, url: str, body: bytes, now_us: int) -> SteeringManifest:
        """What `url` (after redirects) gave.  SteeringError for what is no manifest; it is asked for again later."""
        try:
            manifest = parse_manifest(body, url)
        except SteeringError:
            self._wait_after_error(now_us)
            raise
        self._take(manifest, now_us)
        return manifest

    def failed(self, now_us: int, *, status: int | None = None, retry_after_us: int | None = None) -> None:
        """It did not come: an HTTP status, or None for what has none (a time-out, a refused connection)."""
        if status == _GONE:
            self._uri = self.due_us = None
            return
        self._wait_after_error(now_us)
        if status == _TOO_MANY and retry_after_us is not None:
            self.due_us = now_us + min(max(retry_after_us, _RETRY_US_MIN), _RETRY_US_MAX)

    def _take(self, manifest: SteeringManifest, now_us: int) -> None:
        self.manifest = manifest
        self._failures = 0
        self._ttl_us = manifest.ttl_us
        self._uri = manifest.reload_uri or self._uri
        self.due_us = None if self._uri is None else now_us + self._ttl_us

    def _wait_after_error(self, now_us: int) -> None:
        wait_us = min(self._ttl_us << min(self._failures, _DOUBLINGS_MAX), max(self._ttl_us, _ERROR_US_MAX))
        self._failures += 1
        self.due_us = now_us + wait_us


def _asked(uri: str, pathway: str | None, throughput_bps: int | None, *, is_dash: bool) -> str:
    """`uri` with what the server may judge by (7.1); the rest of its query stays as written, since it may be signed."""
    parts, names = urlsplit(uri), _DASH if is_dash else _HLS
    kept = [field for field in parts.query.split("&") if field and unquote_plus(field.partition("=")[0]) not in names]
    if is_dash and pathway is not None:
        pathway = f'"{pathway}"'  # a list in quotes, of one: what is played comes from one pathway
    values = (pathway, None if throughput_bps is None else str(max(0, throughput_bps)))
    new = [urlencode({name: value}) for name, value in zip(names, values, strict=True) if value is not None]
    return parts._replace(query="&".join(kept + new), fragment="").geturl()


def _data(uri: str) -> bytes:
    """What a data: URI holds (RFC 2397)."""
    header, comma, data = uri.removeprefix("data:").partition(",")
    if not comma:
        raise SteeringMalformed("SERVER-URI is a data: URI without a comma, and so without data")
    body = unquote_to_bytes(data)
    if not header.lower().endswith(";base64"):
        return body
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise SteeringMalformed(f"SERVER-URI is a data: URI whose base64 cannot be read: {error}") from error
