"""Transfers of one segment from several peers at once: who is asked for which range, and what came, in order.

A part of the session.  To the policy, the assembly and the report it is one transfer; stripes.py says which bytes
are asked of whom.  Here a peer's actor is asked for one range after the other, each under a number of its own below
zero, and what it sends is given to the session under the number that the policy knows, with the peer's name.

Who sends nothing for `_SILENT_US` takes no part any more, and the rest of its range goes to others: sooner than the
policy would leave the whole of it, since here another source is at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from shoal.runtime import Actor, ActorRef

from ..events import (
    PartEnded,
    PartFailed,
    RequestFromPeer,
    TransferEnded,
    TransferFailed,
    TransferProgressed,
    TransferStarted,
)
from ..model import ResourceKey, Segment, SourceKind, source_label
from ..stripes import Stripes
from . import messages as m
from . import reporter as r
from .neighbours import Neighbours
from .transfers import Transfers

__all__ = ["Striping"]

_SILENT_US = 500_000
_LOOK_US = 100_000


class Host(Protocol):
    """What the session does with what came."""

    def begins(self, key: ResourceKey, source: str, total_bytes: int) -> None: ...
    def comes(self, number: int, data: bytes, several: str | None = None) -> None: ...
    def ends(self, event: TransferEnded | TransferFailed) -> None: ...


class _Part(msgspec.Struct):
    striped: _Striped
    peer: str
    began_us: int
    byte_count: int = 0


class _Striped:
    """One transfer.  It takes a Cancel as an actor does."""

    def __init__(
        self, action: RequestFromPeer, segment: Segment, stripes: Stripes, cancel: Callable[[_Striped], None]
    ) -> None:
        self.transfer = action.transfer
        self.why = action.why
        self.segment = segment
        self.stripes = stripes
        self.begun: set[str] = set()  # peers that have said how long the segment is
        self.is_started = False  # one of them is believed
        self._cancel = cancel

    def tell(self, message: m.Cancel) -> None:
        assert message.transfer == self.transfer
        self._cancel(self)


class Striping:
    def __init__(
        self,
        session: Actor[Any],
        transfers: Transfers,
        neighbours: Neighbours,
        host: Host,
        *,
        decide: Callable[[Any], None],
        reporter: ActorRef[Any],
    ) -> None:
        self._session = session
        self._transfers = transfers
        self._neighbours = neighbours
        self._host = host
        self._decide = decide
        self._reporter = reporter
        self._running: dict[int, _Striped] = {}  # by the policy's number
        self._parts: dict[int, _Part] = {}  # by ours
        self._count = 0

    def worker(self, action: RequestFromPeer, segment: Segment, total_bytes: int | None) -> _Striped:
        """Who is told to Cancel; `begin` asks the peers once the transfer is known."""
        stripes = Stripes((action.peer, *action.beside), action.first_byte, total_bytes)
        return _Striped(action, segment, stripes, self._cancel)

    def begin(self, striped: _Striped) -> None:
        self._running[striped.transfer] = striped
        self._ask(striped)
        self._session.start_timer("stripes", m.LookAtStripes(), delay_us=_LOOK_US)

    # -- what the peers' actors say, under our numbers

    def data(self, number: int, data: bytes) -> bool:
        """False if it is late."""
        part = self._parts.get(number)
        if part is None:
            return False
        part.byte_count += len(data)
        self._reporter.tell(r.PartGrew(number, len(data), self._session.now_us))
        striped = part.striped
        self._decide(TransferProgressed(striped.transfer, 0, len(data)))
        for peer, piece in striped.stripes.add(part.peer, data, self._session.now_us):
            if striped.transfer not in self._running:
                break  # it was given up for what came before
            self._host.comes(striped.transfer, piece, source_label(SourceKind.PEER, peer))
        return True

    def heard(self, message: TransferStarted | TransferEnded | TransferFailed) -> None:
        part = self._parts.get(message.transfer)
        if part is None:
            return
        striped = part.striped
        match message:
            case TransferStarted(_, total_bytes):
                assert total_bytes is not None, "who is asked for a range says how long it all is"
                self._started(striped, part.peer, total_bytes)
            case TransferEnded():
                self._forget(message.transfer, "ended", "")
                striped.stripes.ended(part.peer)
                duration_us = self._session.now_us - part.began_us
                self._decide(PartEnded(striped.transfer, part.peer, part.byte_count, duration_us))
                self._go_on(striped)
            case TransferFailed(_, reason):
                self._forget(message.transfer, "failed", reason)
                self._drop(striped, part.peer, reason)

    def _started(self, striped: _Striped, peer: str, total_bytes: int) -> None:
        if peer not in striped.begun:
            striped.begun.add(peer)
            self._host.begins(striped.segment.key, source_label(SourceKind.PEER, peer), total_bytes)
        if striped.transfer not in self._running or peer not in striped.stripes.peers:
            return  # it is not believed, so neither the policy nor who is asked next hears of it
        if not striped.is_started:
            striped.is_started = True
            self._decide(TransferStarted(striped.transfer, total_bytes))
        if striped.transfer in self._running:
            striped.stripes.started(total_bytes)
            self._ask(striped)

    def _go_on(self, striped: _Striped) -> None:
        if striped.transfer not in self._running:
            return
        if self._transfers.find(striped.transfer) is None:  # complete, and known to be right
            self._cancel(striped)
        elif striped.stripes.is_whole:
            self._cancel(striped)
            self._host.ends(TransferEnded(striped.transfer))
        else:
            self._ask(striped)

    # -- what the session says

    def stop(self, transfer: int, source: str, reason: str) -> bool:
        """What `source` sends of it is not wanted; False if it takes no part."""
        striped, peer = self._running.get(transfer), source.removeprefix("peer:")
        if striped is None or peer not in striped.stripes.peers:
            return False
        self._cancel_parts(striped, peer, reason)
        self._drop(striped, peer, reason)
        return True

    def leave(self, peer: str) -> None:
        """It has gone, and its actor with it."""
        for number in [number for number, part in self._parts.items() if part.peer == peer]:
            self._forget(number, "failed", "closed")
        for striped in [one for one in self._running.values() if peer in one.stripes.peers]:
            self._drop(striped, peer, "closed")

    def look(self) -> None:
        now_us = self._session.now_us
        for striped in list(self._running.values()):
            if self._transfers.find(striped.transfer) is None:
                self._cancel(striped)
                continue
            for peer in striped.stripes.silent(now_us, _SILENT_US):
                if len(striped.stripes.peers) > 1:  # else it is the policy's to say
                    self.stop(striped.transfer, source_label(SourceKind.PEER, peer), "stalled")
        if self._running:
            self._session.start_timer("stripes", m.LookAtStripes(), delay_us=_LOOK_US)

    # -- how

    def _ask(self, striped: _Striped) -> None:
        """Give everybody something to do, as long as there is."""
        for peer in striped.stripes.idle():
            if peer not in self._neighbours:
                continue
            wanted = striped.stripes.next_range(peer, self._session.now_us)
            if wanted is None:
                return
            self._count += 1
            self._parts[-self._count] = _Part(striped, peer, self._session.now_us)
            first_byte, end_byte = wanted
            source, now_us = source_label(SourceKind.PEER, peer), self._session.now_us
            self._reporter.tell(r.PartBegan(-self._count, striped.segment, source, first_byte, striped.why, now_us))
            request = m.Request(
                transfer=-self._count,
                number=striped.segment.key.number,
                first_byte=first_byte,
                total_bytes=None,
                end_byte=end_byte,
            )
            self._neighbours.ref(peer).tell(request)

    def _drop(self, striped: _Striped, peer: str, reason: str) -> None:
        if striped.transfer not in self._running:
            return
        striped.stripes.failed(peer)
        if not striped.stripes.peers:
            self._cancel(striped)
            self._host.ends(TransferFailed(striped.transfer, reason))
            return
        transfer = self._transfers.find(striped.transfer)
        if transfer is not None:
            transfer.source = source_label(SourceKind.PEER, striped.stripes.peers[0])
        if reason == "absent":
            self._neighbours.choking.refused(peer)
        self._decide(PartFailed(striped.transfer, peer, reason))
        self._go_on(striped)

    def _cancel(self, striped: _Striped) -> None:
        self._running.pop(striped.transfer, None)
        for peer in striped.stripes.peers:
            self._cancel_parts(striped, peer, "left")

    def _forget(self, number: int, outcome: str, reason: str) -> None:
        del self._parts[number]
        self._reporter.tell(r.PartEnded(number, outcome, reason, self._session.now_us))

    def _cancel_parts(self, striped: _Striped, peer: str, reason: str) -> None:
        for number in [n for n, part in self._parts.items() if part.striped is striped and part.peer == peer]:
            self._forget(number, "cancelled", reason)
            if peer in self._neighbours:
                self._neighbours.ref(peer).tell(m.Cancel(number))
