"""Holding an HTTP answer to what was asked and announced: headers and byte counts in, a plan or an error out.

Both fetchers (sockets and memory) decide here and nowhere else, so that the
rules are one: which headers a request carries, what a 200 or 206 may say, and
how many bytes its body must have.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import re
from collections.abc import Mapping

import msgspec

from shoal.transports.errors import BodyChanged, BodyError, BodyTooLarge, BodyTruncated, StatusError
from shoal.transports.interface import FetchRequest

from .ranges import parse_content_range, range_header

__all__ = [
    "CREDENTIALS",
    "HEADERS_MAX",
    "HEADER_BYTES_MAX",
    "REDIRECTS",
    "BodyCounter",
    "BodyPlan",
    "plan_body",
    "request_headers",
    "retry_after_us",
    "status_error",
]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})  # they stay with the origin asked first
HEADER_BYTES_MAX = 8190  # a line or a field, as nginx and Apache have it
HEADERS_MAX = 128  # CDNs send about 30

_SECOND_US = 1_000_000
_RETRY_AFTER_MAX_US = 24 * 3600 * _SECOND_US  # a longer one is as good as never, and must not overflow anybody's timer
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')  # RFC 9110, 8.8.3
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_OURS = frozenset({"range", "if-range", "accept-encoding", "host", "connection", "content-length", "transfer-encoding"})


def request_headers(request: FetchRequest, user_agent: str) -> list[tuple[str, str]]:
    """All headers to send but Host.  ValueError for a header or a validator that is not the caller's to give."""
    wanted_range = range_header(request.first_byte, request.last_byte)
    if request.if_range is not None and not _STRONG_ETAG.fullmatch(request.if_range):
        raise ValueError(f"if_range is {request.if_range!r}; only a strong ETag, in quotes, identifies bytes")
    for name, _ in request.headers:
        if name.lower() in _OURS:
            raise ValueError(f"header {name} is the fetcher's own; use the fields of FetchRequest")
    headers = {"user-agent": user_agent, "accept": "*/*"}
    headers |= {name.lower(): value for name, value in request.headers}
    headers["accept-encoding"] = "identity"
    if wanted_range is not None:
        headers["range"] = wanted_range
        if request.if_range is not None:
            headers["if-range"] = request.if_range
    return list(headers.items())


class BodyPlan(msgspec.Struct, frozen=True):
    """What a body must be."""

    first_byte: int
    total_bytes: int | None
    wire_bytes: int | None  # how many bytes come; None: until the server ends
    wanted_bytes: int | None  # how many the request deserves; fewer on the wire is truncation
    etag: str | None


def plan_body(status: int, headers: Mapping[str, str], request: FetchRequest) -> BodyPlan:
    """Hold the headers (names in lower case) of a 200 or 206 against the request.

    BodyChanged: another representation than the one being resumed.  BodyError: a
    206 that is not the range asked for, or a content coding.  BodyTooLarge: announced above the limit.
    StatusError: a 206 though no range was asked for.
    """
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:  # its bytes are others than those that are named, hashed, and given to a player
        raise BodyError(f"{request.url} is {coding[:40]}-encoded, though identity was asked for; try another server")
    etag = headers.get("etag")
    strong = etag if etag is not None and _STRONG_ETAG.fullmatch(etag) else None
    announced = _announced_length(headers)
    ranged = range_header(request.first_byte, request.last_byte) is not None
    if status == 200:
        if ranged and request.if_range is not None:
            raise BodyChanged(f"{request.url} is no longer {request.if_range}; start again from byte 0")
        _check_limit(announced, request)
        return BodyPlan(0, announced, announced, announced, strong)
    if not ranged:
        raise StatusError(f"{request.url} answered 206 though no range was asked for; try another server", status=206)
    if request.if_range is not None and strong is not None and strong != request.if_range:
        raise BodyChanged(f"{request.url} is now {strong}, not {request.if_range}; start again from byte 0")
    try:
        part = parse_content_range(headers.get("content-range", ""))
    except ValueError as error:
        raise BodyError(f"{request.url} answered 206: {error}; try another server") from error
    if part.first != request.first_byte or (request.last_byte is not None and part.last > request.last_byte):
        raise BodyError(
            f"{request.url} was asked for bytes {request.first_byte} to {request.last_byte} "
            f"and sent {part.first} to {part.last}; try another server"
        )
    if announced is not None and announced != part.length:
        raise BodyError(f"{request.url} announced {announced} bytes and a range of {part.length}; try another server")
    _check_limit(part.length, request)
    wanted = part.length  # without a total the server may rightly have nothing more
    if part.total is not None:
        last = part.total - 1 if request.last_byte is None else min(request.last_byte, part.total - 1)
        wanted = last - part.first + 1
    return BodyPlan(part.first, part.total, part.length, wanted, strong)


def _announced_length(headers: Mapping[str, str]) -> int | None:
    if "transfer-encoding" in headers:
        return None
    value = headers.get("content-length")
    return int(value) if value is not None and _NUMBER.fullmatch(value) else None


def _check_limit(length: int | None, request: FetchRequest) -> None:
    if length is not None and length > request.body_bytes_max:
        raise BodyTooLarge(
            f"{request.url} announced {length} bytes and {request.body_bytes_max} are allowed; raise body_bytes_max"
        )


def status_error(url: str, status: int, reason: str, headers: Mapping[str, str]) -> StatusError:
    """The error for a status that is not what was asked for (header names in lower case)."""
    hint = "; that is one redirect too many, it may loop" if status in REDIRECTS else ""
    return StatusError(
        f"{url} answered {status} {reason[:100]}".rstrip() + hint,
        status=status,
        retry_after_us=retry_after_us(headers.get("retry-after"), date=headers.get("date")),
    )


def retry_after_us(value: str | None, *, date: str | None) -> int | None:
    """Retry-After as a delay in microseconds, at most a day; a date counts from the server's own Date.

    None when absent, malformed, or a date without a Date beside it (RFC 9110, 10.2.3).
    """
    if value is None:
        return None
    number = value.strip(" \t")  # and nothing else that Python takes for blank, and int() does not
    if _NUMBER.fullmatch(number):
        return min(int(number) * _SECOND_US, _RETRY_AFTER_MAX_US)
    try:
        until = email.utils.parsedate_to_datetime(value)
        delay = (until - email.utils.parsedate_to_datetime(date or "")) // dt.timedelta(microseconds=1)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0, min(delay, _RETRY_AFTER_MAX_US))


class BodyCounter:
    """Counts a body against its plan."""

    def __init__(self, plan: BodyPlan, request: FetchRequest) -> None:
        self.received = 0
        self._plan = plan
        self._limit = plan.wire_bytes if plan.wire_bytes is not None else request.body_bytes_max

    def take(self, piece: bytes) -> bytes:
        """As much of the piece as belongs to the body; call `check_piece` with both afterwards."""
        fitting = piece[: self._limit - self.received]  # the piece itself, uncopied, when all of it fits
        self.received += len(fitting)
        return fitting

    def check_piece(self, url: str, piece: bytes, fitting: bytes) -> None:
        """BodyTooLarge if some of the piece did not fit."""
        if len(fitting) < len(piece):
            raise BodyTooLarge(f"{url} sent more than {self._limit} bytes; the rest was not read")

    def check_end(self, url: str) -> None:
        """BodyTruncated if the body ended too early."""
        wanted = self._plan.wanted_bytes
        if wanted is not None and self.received < wanted:
            raise BodyTruncated(f"{url} ended after {self.received} of {wanted} bytes; ask for the rest")
