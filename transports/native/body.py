"""What the headers of an answer promise, and a body that is held to it.

`plan_body` is the decision (headers in, a BodyPlan or an error out, nothing
read); HttpResponse reads, counts and closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import email.utils
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import aiohttp
import msgspec

from shoal.transports.errors import BodyChanged, BodyError, BodyTooLarge, BodyTruncated, StatusError, TimedOut
from shoal.transports.interface import FetchRequest
from shoal.transports.sansio.ranges import parse_content_range, range_header

__all__ = ["BodyPlan", "HttpResponse", "plan_body", "retry_after_us"]

_SECOND_US = 1_000_000
_RETRY_AFTER_MAX_US = 24 * 3600 * _SECOND_US  # a longer one is as good as never, and must not overflow anybody's timer
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')  # RFC 9110, 8.8.3
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class BodyPlan(msgspec.Struct, frozen=True):
    """What a body must be."""

    first_byte: int
    total_bytes: int | None
    wire_bytes: int | None  # how many bytes come; None: until the server ends
    wanted_bytes: int | None  # how many the request deserves; fewer on the wire is truncation
    etag: str | None


def plan_body(status: int, headers: Mapping[str, str], request: FetchRequest) -> BodyPlan:
    """Hold the headers of a 200 or 206 against the request.

    BodyChanged: another representation than the one being resumed.  BodyError: a
    206 that is not the range asked for.  BodyTooLarge: announced above the limit.
    StatusError: a 206 though no range was asked for.
    """
    etag = headers.get("ETag")
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
        part = parse_content_range(headers.get("Content-Range", ""))
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
    if "Transfer-Encoding" in headers:
        return None
    value = headers.get("Content-Length")
    return int(value) if value is not None and _LENGTH.fullmatch(value) else None


def _check_limit(length: int | None, request: FetchRequest) -> None:
    if length is not None and length > request.body_bytes_max:
        raise BodyTooLarge(
            f"{request.url} announced {length} bytes and {request.body_bytes_max} are allowed; raise body_bytes_max"
        )


def retry_after_us(value: str | None, *, date: str | None) -> int | None:
    """Retry-After as a delay in microseconds (at most a day), by the server's own Date when it is given as a date.

    None when absent or malformed (RFC 9110, 10.2.3).
    """
    if value is None:
        return None
    if _LENGTH.fullmatch(value.strip()):
        return min(int(value) * _SECOND_US, _RETRY_AFTER_MAX_US)
    try:
        until = email.utils.parsedate_to_datetime(value)
        now = email.utils.parsedate_to_datetime(date) if date is not None else dt.datetime.now(dt.UTC)
        delay = (until - now) // dt.timedelta(microseconds=1)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0, min(delay, _RETRY_AFTER_MAX_US))


class HttpResponse:
    """A FetchResponse over aiohttp's.  Its connection goes back to the pool at a good end, else is closed."""

    def __init__(self, response: aiohttp.ClientResponse, request: FetchRequest, plan: BodyPlan) -> None:
        self.url = str(response.url)
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self.first_byte = plan.first_byte
        self.total_bytes = plan.total_bytes
        self.etag = plan.etag
        self._response = response
        self._request = request
        self._plan = plan
        self._pieces = self._read()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        """Close the connection unless the body was read to its end; a task that is reading gets BodyTruncated."""
        self._response.close()
        with contextlib.suppress(RuntimeError):  # another task is inside; closing the connection ends its wait
            await self._pieces.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        received = 0
        try:
            while piece := await self._next_piece(received):
                fitting = self._fitting(piece, received)
                received += len(fitting)
                if fitting:
                    yield fitting
                if len(fitting) < len(piece):
                    self._fail(BodyTooLarge(f"{self.url} sent more than {received} bytes; the rest was not read"))
            wanted = self._plan.wanted_bytes
            if wanted is not None and received < wanted:
                self._fail(BodyTruncated(f"{self.url} ended after {received} of {wanted} bytes; ask for the rest"))
        except BaseException:
            self._response.close()
            raise
        self._response.release()

    def _fitting(self, piece: bytes, received: int) -> bytes:
        limit = self._plan.wire_bytes if self._plan.wire_bytes is not None else self._request.body_bytes_max
        return piece if received + len(piece) <= limit else piece[: limit - received]

    @staticmethod
    def _fail(error: Exception) -> None:
        raise error

    async def _next_piece(self, received: int) -> bytes:
        timeout_us = self._request.stall_timeout_us
        try:
            async with asyncio.timeout(timeout_us / _SECOND_US):
                return await self._response.content.readany()
        except TimeoutError as error:
            raise TimedOut(
                f"{self.url} sent nothing for {timeout_us / _SECOND_US:g} s after {received} bytes; try another server",
                phase="stall",
                timeout_us=timeout_us,
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise BodyTruncated(f"{self.url} broke off after {received} bytes: {error}; ask for the rest") from error
