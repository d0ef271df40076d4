"""Signaling on aiohttp: text messages to and from a tracker, with a heartbeat.

Promises, beyond the Protocol: message sizes are limited both ways and nothing
is compressed (a bomb stays small), a tracker that does not answer a ping within
ten seconds is closed, redirects are refused, TLS is verified, no cookies, no
proxies from the environment.  What is not read yet stops the socket from being
read, so that a flood of messages waits in the tracker's kernel.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress

import aiohttp
from aiohttp import ClientHandlerType
from yarl import URL

from shoal.transports.errors import (
    AddressRefused,
    ChannelClosed,
    ConnectFailed,
    MessageTooLarge,
    StatusError,
    TimedOut,
    TrackerRefused,
    TransportError,
)
from shoal.transports.interface import AddressPolicy, TextSocket
from shoal.transports.sansio.addresses import check_host, check_text
from shoal.transports.sansio.bodies import retry_after_us

from .guard import GuardedResolver, guarded_socket_factory
from .words import in_words

__all__ = ["WebSocketSignaling"]

_SECOND_US = 1_000_000
_SCHEMES = {"ws": "http", "wss": "https"}
_REFUSED = {401, 403}  # RFC 9110, 15.5.2 and 15.5.4: not without other credentials
_BUSY = {429, 503}  # RFC 6585, 4, and RFC 9110, 15.6.4: not now
_WORDS_MAX = 120  # of a refusal: a sentence, which ends in a log
_WORDS_LIMIT_S = 1.0


class WebSocketSignaling:
    """A Signaling; every socket it opens belongs to it until closed."""

    def __init__(
        self,
        policy: AddressPolicy | None = None,
        *,
        connect_timeout_us: int = 10_000_000,
        heartbeat_us: int = 20_000_000,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Trackers are named by whoever starts the program, so that private addresses are allowed by default.

        A proxy or NAT forgets a silent connection after a minute or so: hence `heartbeat_us`, whose
        half is the time a pong may take.
        """
        self._policy = policy if policy is not None else AddressPolicy(allow_private=True)
        self._connect_timeout_us = connect_timeout_us
        self._heartbeat_us = heartbeat_us
        self._ssl_context = ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._sockets: set[_Socket] = set()
        self._closed = False

    async def connect(self, url: str, *, message_bytes_max: int = 128 * 1024) -> TextSocket:
        """As Signaling.connect.

        AddressRefused, ConnectFailed, StatusError when it is no WebSocket, TrackerRefused when we may not, TimedOut.
        """
        if self._closed:
            raise ConnectFailed("this signaling is closed; make another")
        target = self._checked_url(url)
        session = self._open_session()
        try:
            async with asyncio.timeout(self._connect_timeout_us / _SECOND_US):
                raw = await session.ws_connect(
                    target,
                    heartbeat=self._heartbeat_us / _SECOND_US,
                    max_msg_size=message_bytes_max,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),  # pyright: ignore[reportCallIssue] - made by attrs
                    compress=0,
                )
        except TimeoutError as error:
            raise TimedOut(
                f"{target.host} did not open a WebSocket within {self._connect_timeout_us / _SECOND_US:g} s; try again",
                phase="connect",
                timeout_us=self._connect_timeout_us,
            ) from error
        except aiohttp.InvalidURL as error:
            raise AddressRefused(f"{url[:200]!r} refused: {error}") from error
        except aiohttp.ClientResponseError as error:
            kind = TrackerRefused if error.status in _REFUSED else StatusError
            headers: Mapping[str, str] = error.headers or {}
            raise kind(
                f"{target.host} answered {error.status} instead of a WebSocket: {error.message[:_WORDS_MAX]}",
                status=error.status,
                retry_after_us=retry_after_us(headers.get("Retry-After"), date=headers.get("Date")),
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectFailed(f"{target.host} port {target.port}: {in_words(error)}") from error
        socket = _Socket(raw, message_bytes_max, self._sockets.discard)
        self._sockets.add(socket)
        return socket

    async def aclose(self) -> None:
        """Close every socket, all at once: at most a second."""
        self._closed = True
        await asyncio.gather(*(socket.close() for socket in list(self._sockets)))
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _checked_url(self, text: str) -> URL:
        check_text(text)
        try:
            url = URL(text)
            scheme = _SCHEMES.get(url.scheme)
            if scheme is None:
                raise AddressRefused(f"scheme {url.scheme!r} refused for a tracker; use ws or wss")
            has_user = url.raw_user is not None or url.raw_password is not None
            check_host(self._policy, scheme=scheme, host=url.raw_host, port=url.port, has_user=has_user)
            (url.host or "").encode("idna")  # labels that no name may have, which would fail at the look-up
        except UnicodeError as error:
            raise AddressRefused(f"{text[:200]!r} refused: its host is no name that can be looked up") from error
        except (ValueError, TypeError) as error:
            raise AddressRefused(f"{text[:200]!r} refused: {error}") from error
        return url

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=self._ssl_context or True,
                    use_dns_cache=False,
                    resolver=GuardedResolver(self._policy),
                    socket_factory=guarded_socket_factory(self._policy),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # the one in `connect` runs instead
                middlewares=(_no_redirects, _own_words),
            )
        return self._session


async def _no_redirects(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise aiohttp.ClientResponseError(
            response.request_info, (), status=response.status, message="redirects are not followed"
        )
    return response


async def _own_words(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    """Of a tracker that does not let us in, what it says in place of what aiohttp would."""
    response = await handler(request)
    if response.status in _REFUSED | _BUSY:
        words = b""
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(_WORDS_LIMIT_S):
                words = await response.content.read(_WORDS_MAX)
        response.close()
        text = "".join(c if c.isprintable() else " " for c in words.decode("utf-8", "replace")).strip()
        raise aiohttp.ClientResponseError(
            response.request_info,
            (),
            status=response.status,
            message=text or response.reason or "without a word",
            headers=response.headers,
        )
    return response


class _Socket:
    """A TextSocket."""

    def __init__(
        self, raw: aiohttp.ClientWebSocketResponse, message_bytes_max: int, forget: Callable[[_Socket], None]
    ) -> None:
        self._raw = raw
        self._message_bytes_max = message_bytes_max
        self._forget = forget
        self._detail: str | None = None

    async def send(self, text: str) -> None:
        """As TextSocket.send; waits while the tracker does not read.  ChannelClosed, MessageTooLarge."""
        size = len(text.encode())
        if size > self._message_bytes_max:
            raise MessageTooLarge(f"{size} bytes in one message; the tracker's limit is {self._message_bytes_max}")
        if self._detail is not None:
            raise self._closed_error()
        try:
            await self._raw.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            await self._end(f"the connection broke: {in_words(error)}")
            raise self._closed_error() from error

    async def receive(self) -> str:
        """As TextSocket.receive; one reader at a time."""
        if self._detail is not None:
            raise self._closed_error()
        message = await self._raw.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data)
        if message.type is aiohttp.WSMsgType.BINARY:
            await self._end("the tracker sent a binary message")
        else:
            await self._end(self._why_closed(message))
        raise self._closed_error()

    async def close(self) -> None:
        """Say goodbye and wait for the answer, for a second at most.  Does nothing the second time."""
        await self._end("closed here")

    def _why_closed(self, message: aiohttp.WSMessage) -> str:
        error = self._raw.exception()
        if error is not None:
            return in_words(error)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return f"closed by the tracker with {message.data} {message.extra or ''}".rstrip()
        return f"closed by the tracker with {self._raw.close_code}"

    async def _end(self, detail: str) -> None:
        if self._detail is None:
            self._detail = detail
            try:
                await self._raw.close()
            finally:
                self._forget(self)

    def _closed_error(self) -> TransportError:
        detail = self._detail or "closed"
        return ChannelClosed.to_tracker(detail)
