"""Whether anything came from a peer, by the counts of a native engine that shows no packet.

    look(if_nothing_came)    calls `on_heard` where something came since the look before

The engine asks the other side for a sign of life by itself (RFC 7675): where all is well every 2.5 s, which is the
longest that a peer is silent.  A look takes half a millisecond, so it is had only of peers that sent no message for an
interval.  None is taken for dead without a last one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from .stack import OpaqueAssociation

__all__ = ["CountedAssociation", "counts_in"]


class _Statistics(msgspec.Struct, rename="camel"):
    """What is read of one object in a report (W3C's webrtc-stats)."""

    type: str = ""
    id: str = ""
    packets_received: int = 0
    requests_received: int = 0
    responses_received: int = 0


_decoder = msgspec.json.Decoder(list[_Statistics])


def counts_in(report: Any) -> dict[str, int]:
    """Packets of all kinds that came, by candidate pair, of the report's JSON."""
    pairs: Iterable[_Statistics] = (one for one in _decoder.decode(report) if one.type == "candidate-pair")
    return {one.id: one.packets_received + one.requests_received + one.responses_received for one in pairs}


class CountedAssociation(OpaqueAssociation):
    """The SCTP of a connection, as far as its statistics tell."""

    def __init__(self, counts: Callable[[], Awaitable[dict[str, int]]], *, on_heard: Callable[[], None]) -> None:
        """`counts`: of what came until now, by candidate pair.  Where that fails, nobody is taken for dead here."""
        super().__init__()
        self.tells_silence = True
        self._counts = counts
        self._on_heard = on_heard
        self._came: dict[str, int] = {}
        self._looking: asyncio.Task[None] | None = None
        self._if_nothing_came: Callable[[], None] | None = None

    def look(self, if_nothing_came: Callable[[], None] | None = None) -> None:
        self._if_nothing_came = if_nothing_came
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())

    def release(self) -> None:
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        try:
            came = await self._counts()
        except Exception:  # a library's, of whatever kind
            self.tells_silence = False
            return
        finally:
            self._looking = None
        if any(count > self._came.get(pair, 0) for pair, count in came.items()):
            self._on_heard()
        elif self._if_nothing_came is not None:
            self._if_nothing_came()
        self._came = came
