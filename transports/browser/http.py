"""Fetcher on the page's fetch(): streaming bodies, ranges, aborts in mid-body.  Every wait is limited.

What differs from sockets, because the browser decides it:

    redirects   are followed by the browser, twenty at most; only the last URL is seen, and held against the policy then
    addresses   names resolve out of sight: literal addresses and `localhost` are checked, other names are not
    time        connecting and waiting for headers cannot be told apart: `first_byte_timeout_us` limits both together
    codings     the browser asks for gzip and undoes it, except where a range is asked for.  The length of a coded
                answer says nothing about its bytes, so it is left out; where a server hides its coding from the page
                (Access-Control-Expose-Headers), so is the length of text, which CDNs compress
    If-Range    is never sent, since it would cost each request a preflight; the answer's ETag is compared instead
    206         whose Content-Range is hidden from the page is taken for what was asked, as long as its length allows

A failed fetch() has one message for everything.  One further request tells a
server that cannot be reached from one that forbids this page to read it (CORS).
Neither cookies nor the browser's cache are used.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from shoal.transports.errors import AddressRefused, ConnectFailed, CrossOriginRefused, TimedOut, TransportError
from shoal.transports.interface import AddressPolicy, FetchRequest, FetchResponse
from shoal.transports.sansio.bodies import plan_body, request_headers, status_error

from .addresses import checked_url
from .body import BrowserResponse
from .page import JsException, in_words, js, js_object

__all__ = ["BrowserFetcher"]

_SECOND_US = 1_000_000
_SCHEMES = ("http", "https")
_PROBE_TIMEOUT_S = 2.0  # the failure is certain by then; only its name is not
_PROBED_ORIGINS_MAX = 64  # a stream has a few; beyond that the oldest answer is forgotten and asked for again
_UNSENT = frozenset({"user-agent", "accept", "accept-encoding", "if-range"})  # the browser's own, or see above
_TEXT = ("text/", "application/vnd.apple.mpegurl", "application/x-mpegurl", "application/dash+xml", "application/json")


class BrowserFetcher:
    """A Fetcher.  The browser limits connections: six a host with HTTP/1.1."""

    def __init__(self, policy: AddressPolicy | None = None) -> None:
        self._policy = policy if policy is not None else AddressPolicy()
        self._aborts: dict[int, Any] = {}  # by id: what is JavaScript's has no hash
        self._answers: OrderedDict[str, bool] = OrderedDict()  # origin -> answers, though pages may not read it
        self._closed = False

    async def open(self, request: FetchRequest) -> FetchResponse:
        """As Fetcher.open.  CrossOriginRefused when the server is there and this page may not read it."""
        if self._closed:
            raise ConnectFailed("this fetcher is closed; make another")
        headers = [pair for pair in request_headers(request, "") if pair[0] not in _UNSENT]
        url = checked_url(self._policy, request.url, schemes=_SCHEMES)
        abort = js.AbortController.new()
        self._aborts[id(abort)] = abort
        try:
            raw = await self._send(url, headers, abort, request)
            self._answers.pop(url.origin, None)  # pages may read it: when it fails next, it is for another reason
            return self._accept(raw, url, abort, request)
        except BaseException:
            self._end(abort)
            raise

    async def aclose(self) -> None:
        """Abort whatever is under way; bodies being read end with BodyTruncated."""
        self._closed = True
        for abort in list(self._aborts.values()):
            self._end(abort)

    def _end(self, abort: Any) -> None:
        abort.abort()
        self._aborts.pop(id(abort), None)

    async def _send(self, url: Any, headers: list[tuple[str, str]], abort: Any, request: FetchRequest) -> Any:
        options = js_object(headers=headers, cache="no-store", credentials="omit", referrerPolicy="no-referrer")
        options.signal = abort.signal
        timeout_us = request.first_byte_timeout_us
        try:
            async with asyncio.timeout(timeout_us / _SECOND_US):
                return await js.fetch(request.url, options)
        except TimeoutError as error:
            raise TimedOut(
                f"{url.hostname} sent no headers within {timeout_us / _SECOND_US:g} s; try another",
                phase="first_byte",
                timeout_us=timeout_us,
            ) from error
        except JsException as error:
            raise await self._why_failed(url, error) from error

    async def _why_failed(self, url: Any, error: Exception) -> TransportError:
        if self._closed:
            return ConnectFailed(f"{url.host} failed: this fetcher was closed meanwhile; make another")
        if url.protocol == "http:" and js.isSecureContext and js.location.protocol == "https:":
            return ConnectFailed(f"{url.host} failed: a page of https may not fetch http; use the server's https")
        if await self._does_answer(url):
            return CrossOriginRefused(
                f"{url.host} answers, and does not let pages of {js.location.origin} read it; "
                "have it send Access-Control-Allow-Origin, or look whether it redirects elsewhere"
            )
        return ConnectFailed(f"{url.host} failed: {in_words(error)}; it cannot be reached from here, try another")

    async def _does_answer(self, url: Any) -> bool:
        """Whether anything answers there, its content unseen."""
        known = self._answers.get(url.origin)
        if known:  # one that did not answer may do so by now, and is asked again
            return known
        options = js_object(method="HEAD", mode="no-cors", cache="no-store", credentials="omit")
        options.signal = js.AbortSignal.timeout(int(_PROBE_TIMEOUT_S * 1000))
        try:
            await js.fetch(url.href, options)
        except JsException:
            return False
        self._answers[url.origin] = True
        while len(self._answers) > _PROBED_ORIGINS_MAX:
            self._answers.popitem(last=False)
        return True

    def _accept(self, raw: Any, url: Any, abort: Any, request: FetchRequest) -> FetchResponse:
        if raw.redirected:
            final = checked_url(self._policy, raw.url, schemes=_SCHEMES)
            if url.protocol == "https:" and final.protocol != "https:":
                raise AddressRefused(f"redirect from {url.href} to {raw.url} refused; it left https")
        headers = {pair[0]: pair[1] for pair in raw.headers.entries()}
        if raw.status not in {200, 206}:
            raise status_error(raw.url, raw.status, raw.statusText, headers)
        plan = plan_body(raw.status, _trusted(raw, headers, request), request)
        return BrowserResponse(raw, headers, request, plan, lambda: self._end(abort))


def _trusted(raw: Any, headers: dict[str, str], request: FetchRequest) -> dict[str, str]:
    """The headers that a body can be held against."""
    trusted = dict(headers)
    is_all_seen = raw.type == "basic" or "access-control-expose-headers" in headers
    coding = headers.get("content-encoding", "identity")
    is_text = headers.get("content-type", "").lower().startswith(_TEXT)
    if raw.status == 200 and (coding != "identity" or (is_text and not is_all_seen)):
        trusted.pop("content-length", None)
    length = headers.get("content-length", "")
    if raw.status == 206 and "content-range" not in headers and not is_all_seen and length.isascii():
        last = request.first_byte + int(length) - 1 if length.isdigit() else request.last_byte
        if last is not None:
            trusted["content-range"] = f"bytes {request.first_byte}-{last}/*"
    return trusted
