"""Asks the steering server when it is time to, and tells the session what it says.

When, whom and with what is decided in ../steering.py; this fetches.  The server
gets none of the session's headers: they are credentials of CDNs.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from shoal.runtime import Actor, ActorRef
from shoal.transports.errors import TimedOut, TransportError
from shoal.transports.interface import Fetcher, FetchRequest

from ..errors import SteeringError
from ..formats.steering import MANIFEST_BYTES_MAX
from ..steering import SteeringClient
from .messages import GetPlaying, Noted, Playing, Steered, SteeringSettled

__all__ = ["Steering"]

# Nobody waits for it, and an error costs the time to live: longer than for a playlist.
_TIMEOUT_US = 10_000_000


class _Due(msgspec.Struct, frozen=True):
    """From our timer."""


class _Came(msgspec.Struct, frozen=True):
    url: str  # after redirects
    body: bytes


class Steering(Actor[Any]):
    def __init__(self, session: ActorRef[Any], fetcher: Fetcher, *, server_uri: str, is_dash: bool) -> None:
        self._session = session
        self._fetcher = fetcher
        self._client = SteeringClient(server_uri, is_dash=is_dash)
        self._last_words = ""
        self._is_settled = False

    def on_start(self) -> None:
        if self._client.inline is None:
            self._session.tell(GetPlaying())
            return
        try:
            self._session.tell(Steered(self._client.read_inline(self.now_us)))
        except SteeringError as error:
            self._tell_words(f"the playlist's own steering manifest is not followed: {error}")
        self._settle()
        self._wait()

    def receive(self, message: Any) -> None:
        match message:
            case _Due():
                self._session.tell(GetPlaying())
            case Playing(pathway, throughput_bps):
                url = self._client.due(self.now_us, pathway=pathway, throughput_bps=throughput_bps)
                if url is not None:
                    self.start_task(self._load(url), name="load")
            case _Came(url, body):
                try:
                    self._session.tell(Steered(self._client.came(url, body, self.now_us)))
                    self._last_words = ""
                except SteeringError as error:
                    self._tell_words(f"{error}; the order before it stays")
                self._settle()
                self._wait()
            case TransportError():
                self._client.failed(
                    self.now_us,
                    status=getattr(message, "status", None),
                    retry_after_us=getattr(message, "retry_after_us", None),
                )
                is_over = "; it is not asked any more" if self._client.has_ended else ""
                self._tell_words(f"the steering server did not answer: {message}{is_over}")
                self._settle()
                self._wait()
            case _:
                raise TypeError(f"the steering actor was sent {type(message).__name__}")

    def _settle(self) -> None:
        """After the first answer, whatever it was: a player may be waiting for it."""
        if not self._is_settled:
            self._is_settled = True
            self._session.tell(SteeringSettled())

    def _wait(self) -> None:
        if self._client.due_us is not None:
            self.start_timer("due", _Due(), delay_us=max(0, self._client.due_us - self.now_us))

    def _tell_words(self, words: str) -> None:
        if words != self._last_words:  # once, and not for every time to live
            self._last_words = words
            self._session.tell(Noted(words))

    async def _load(self, url: str) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_US / 1e6):
                response = await self._fetcher.open(FetchRequest(url=url, body_bytes_max=MANIFEST_BYTES_MAX))
                try:
                    outcome: Any = _Came(response.url, b"".join([piece async for piece in response]))
                finally:
                    await response.aclose()
        except TimeoutError:
            outcome = TimedOut(
                f"no steering manifest came within {_TIMEOUT_US / 1e6:g} s", phase="first_byte", timeout_us=_TIMEOUT_US
            )
        except TransportError as error:
            outcome = error
        await self.ref.send(outcome)
