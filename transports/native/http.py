"""Fetcher and Poster on aiohttp: one request at a time per call, many calls at once, every wait limited.

Promises, beyond the Protocol:

    addresses   scheme, host and resolved address are checked on every hop (guard.py); redirects are followed by
                hand, five at most, never from https to http, and without our credentials once the origin changes
    bytes       identity coding is asked for and nothing is ever decoded, so that a small bomb stays small
    honesty     a 206 must start where it was asked to; a body shorter or longer than announced is an error
    time        connecting includes the name lookup and TLS; the first-byte limit runs to the end of the headers,
                so that headers which drip do not prolong it; the stall limit restarts with every piece
    state       no cookies and no proxies from the environment unless asked for; cookies are those of one fetcher,
                kept in memory, and sent to the hosts that set them (RFC 6265)

Leaves to others: retries, minimum rates, total time, and how many requests run at once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict
from yarl import URL

from shoal.transports.errors import AddressRefused, ConnectFailed, TimedOut, TransportError
from shoal.transports.interface import AddressPolicy, FetchRequest, FetchResponse
from shoal.transports.sansio.addresses import check_address, check_host, check_text
from shoal.transports.sansio.bodies import (
    CREDENTIALS,
    HEADER_BYTES_MAX,
    HEADERS_MAX,
    REDIRECTS,
    plan_body,
    request_headers,
    status_error,
)

from .body import HttpResponse
from .environment import EnvironmentProxies
from .guard import GuardedResolver, guarded_socket_factory
from .words import in_words

__all__ = ["HttpFetcher"]

_SECOND_US = 1_000_000
_COOKIES_MAX = 50  # of all hosts: signed URLs as cookies are three; a server that sets more and more starts from none


class _Phase:
    """Which limit is running; aiohttp's tracing moves it on when the connection is there."""

    def __init__(self, request: FetchRequest) -> None:
        self.name = "connect"
        self.timeout_us = request.connect_timeout_us
        self.timer = asyncio.timeout(request.connect_timeout_us / _SECOND_US)
        self._first_byte_timeout_us = request.first_byte_timeout_us

    def connected(self) -> None:
        self.name = "first_byte"
        self.timeout_us = self._first_byte_timeout_us
        if not self.timer.expired():
            self.timer.reschedule(asyncio.get_running_loop().time() + self.timeout_us / _SECOND_US)


async def _on_connected(_session: aiohttp.ClientSession, context: Any, _params: Any) -> None:
    context.trace_request_ctx.connected()


class _FewCookies(aiohttp.CookieJar):
    """Cookies of any host, up to a number."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        super().update_cookies_from_headers(headers, response_url)
        if len(self) > _COOKIES_MAX:
            self.clear()


class HttpFetcher:
    """A Fetcher with one pool of connections.  Make it anywhere; it opens nothing before the first request."""

    def __init__(
        self,
        policy: AddressPolicy | None = None,
        *,
        connections_max: int = 64,
        redirects_max: int = 5,
        ssl_context: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        user_agent: str = "shoal",
        environment_proxies: bool = False,
        cookies: bool = False,
    ) -> None:
        """`connections_max` bounds sockets; a request beyond it waits within its connect limit.

        `ssl_context` must verify (a private CA is a reason to give one).  With `environment_proxies`
        (environment.py) the proxy resolves the names of what goes through it: then only names and literal
        addresses in URLs are checked here, and the proxy itself is trusted; ValueError for one that is no
        address.  With `cookies`, what servers set is
        kept and sent back: some CDNs sign with cookies, which come with the playlist.
        """
        if ssl_context is not None and ssl_context.verify_mode != ssl.CERT_REQUIRED:
            raise ValueError("ssl_context does not verify certificates; load the CA instead")
        self._policy = policy if policy is not None else AddressPolicy()
        self._connections_max = connections_max
        self._redirects_max = redirects_max
        self._ssl_context = ssl_context
        self._resolver = resolver
        self._user_agent = user_agent
        self._proxies = EnvironmentProxies() if environment_proxies else None
        self._has_cookies = cookies
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def open(self, request: FetchRequest) -> FetchResponse:
        """As Fetcher.open.  A malformed answer is a plain TransportError; a wrong argument a ValueError."""
        if self._closed:
            raise ConnectFailed("this fetcher is closed; make another")
        headers = CIMultiDict(request_headers(request, self._user_agent))
        url = self._checked_url(request.url)
        redirects_left = self._redirects_max
        while True:
            response = await self._send(url, headers, request)
            try:
                if response.status not in REDIRECTS or "Location" not in response.headers or redirects_left == 0:
                    return self._accept(response, request)
                target = self._redirect_target(url, response.headers["Location"])
            except BaseException:
                response.close()
                raise
            response.close()  # its body may be long; a new connection costs less than reading it
            if target.origin() != url.origin():
                headers = CIMultiDict((name, value) for name, value in headers.items() if name not in CREDENTIALS)
            url = target
            redirects_left -= 1

    async def post(self, url: str, body: bytes, content_type: str, *, timeout_us: int) -> int:
        """As Poster.post."""
        if self._closed:
            raise ConnectFailed("this fetcher is closed; make another")
        request = FetchRequest(url=url, connect_timeout_us=timeout_us, first_byte_timeout_us=timeout_us)
        headers = CIMultiDict([*request_headers(request, self._user_agent), ("Content-Type", content_type)])
        response = await self._send(self._checked_url(url), headers, request, body)
        response.close()
        return response.status

    async def aclose(self) -> None:
        """Close every connection; bodies being read end with BodyTruncated."""
        self._closed = True
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    @staticmethod
    def _accept(response: aiohttp.ClientResponse, request: FetchRequest) -> FetchResponse:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if response.status not in {200, 206}:
            raise status_error(str(response.url), response.status, response.reason or "", headers)
        return HttpResponse(response, headers, request, plan_body(response.status, headers, request))

    def _checked_url(self, text: str) -> URL:
        check_text(text)
        try:
            # Kept as written when it can be: re-quoting would break the signatures that CDNs put in queries.
            url = URL(text, encoded=text.isascii())
            host, port = url.raw_host, url.port
            (url.host or "").encode("idna")  # labels that no name may have, which would fail at the look-up
        except UnicodeError as error:
            raise AddressRefused(f"{text[:200]!r} refused: its host is no name that can be looked up") from error
        except (ValueError, TypeError) as error:
            raise AddressRefused(f"{text[:200]!r} refused: {error}") from error
        has_user = url.raw_user is not None or url.raw_password is not None
        name = check_host(self._policy, scheme=url.scheme, host=host, port=port, has_user=has_user)
        if ":" in name or name.replace(".", "").isdigit():
            check_address(self._policy, name, host=name)  # a literal, known to be private before a socket is made
        return url

    def _redirect_target(self, url: URL, location: str) -> URL:
        check_text(location)
        try:
            joined = url.join(URL(location, encoded=location.isascii()))
        except ValueError as error:
            raise AddressRefused(f"redirect to {location[:200]!r} refused: {error}") from error
        target = self._checked_url(str(joined))
        if url.scheme == "https" and target.scheme != "https":
            raise AddressRefused(f"redirect from {url} to {target} refused; it would leave https")
        return target

    async def _send(
        self, url: URL, headers: CIMultiDict[str], request: FetchRequest, body: bytes | None = None
    ) -> aiohttp.ClientResponse:
        phase = _Phase(request)
        method = "GET" if body is None else "POST"
        try:
            async with phase.timer:
                return await self._open_session().request(
                    method,
                    url,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    trace_request_ctx=phase,
                    proxy=None if self._proxies is None else self._proxies.of(url),
                )
        except TimeoutError as error:
            raise TimedOut(
                f"{url.host} did not get past {phase.name} within {phase.timeout_us / _SECOND_US:g} s; try another",
                phase=phase.name,
                timeout_us=phase.timeout_us,
            ) from error
        except aiohttp.InvalidURL as error:
            raise AddressRefused(f"{str(url)[:200]!r} refused: {error}") from error
        except aiohttp.ClientResponseError as error:
            why = " ".join(error.message.split())[:200]  # it quotes the server, over several lines
            raise TransportError(f"{url.host} answered what is not HTTP: {why}; try another") from error
        except (aiohttp.ClientError, OSError) as error:
            how = "before it answered" if phase.name == "first_byte" else "while connecting"
            raise ConnectFailed(f"{url.host} port {url.port} failed {how}: {in_words(error)}") from error

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(_on_connected)
            trace.on_connection_reuseconn.append(_on_connected)
            connector = aiohttp.TCPConnector(
                ssl=self._ssl_context or True,
                limit=self._connections_max,
                use_dns_cache=False,  # the operating system has one, and what is not kept cannot go stale
                resolver=GuardedResolver(self._policy, self._resolver, self._proxies),
                socket_factory=guarded_socket_factory(self._policy, self._proxies),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                # Hosts that are addresses have cookies too: `unsafe` is the word for that.
                cookie_jar=_FewCookies(unsafe=True) if self._has_cookies else aiohttp.DummyCookieJar(),
                # Own timers run instead: total would cut long bodies, and sock_read starts anew with every byte.
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
                auto_decompress=False,
                trace_configs=[trace],
                max_line_size=HEADER_BYTES_MAX,
                max_field_size=HEADER_BYTES_MAX,
                max_headers=HEADERS_MAX,
                requote_redirect_url=False,
            )
        return self._session
