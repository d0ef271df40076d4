"""Transfers under way: which source sends what, and from which offset on.

Every end of a transfer goes through here, so that the report has one line for
each, and what comes later of it is known to be late.  Bookkeeping only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from shoal.runtime import ActorRef

from ..events import TransferFailed
from ..model import Kind, ResourceKey, Segment, is_peer
from . import messages as m
from . import reporter as r

__all__ = ["Transfer", "Transfers"]


class Worker(Protocol):
    """An actor, or what several do together (striping.py)."""

    def tell(self, message: m.Cancel, /) -> object: ...


class Transfer(msgspec.Struct):
    key: ResourceKey
    source: str  # label; of several peers, the first
    worker: Worker
    offset: int  # of the next byte


class Transfers:
    def __init__(self, reporter: ActorRef[Any]) -> None:
        self._reporter = reporter
        self._running: dict[int, Transfer] = {}

    def find(self, number: int) -> Transfer | None:
        return self._running.get(number)

    def begin(
        self, number: int, segment: Segment, transfer: Transfer, why: str, now_us: int, *, is_told: bool = True
    ) -> None:
        """`is_told` is False of several peers' transfer: striping.py tells the report what each of them does."""
        self._running[number] = transfer
        if is_told:
            self._reporter.tell(r.PartBegan(number, segment, transfer.source, transfer.offset, why, now_us))

    def grow(self, number: int, byte_count: int, now_us: int) -> None:
        self._running[number].offset += byte_count
        self._reporter.tell(r.PartGrew(number, byte_count, now_us))

    def end(self, number: int, now_us: int) -> None:
        """The source sent all of it, or all that was missing."""
        del self._running[number]
        self._reporter.tell(r.PartEnded(number, "ended", "", now_us))

    def fail(self, failure: TransferFailed, now_us: int) -> Transfer:
        reason = failure.reason if failure.status is None else f"{failure.reason} {failure.status}"
        self._reporter.tell(r.PartEnded(failure.transfer, "failed", reason, now_us))
        return self._running.pop(failure.transfer)

    def cancel(self, number: int, reason: str, now_us: int) -> Transfer | None:
        """Tell the source to stop; None if the transfer had ended."""
        transfer = self._running.pop(number, None)
        if transfer is not None:
            transfer.worker.tell(m.Cancel(number))
            self._reporter.tell(r.PartEnded(number, "cancelled", reason, now_us))
        return transfer

    def of(self, key: ResourceKey) -> list[tuple[int, Transfer]]:
        return [(number, transfer) for number, transfer in self._running.items() if transfer.key == key]

    def of_source(self, source: str) -> list[int]:
        return [number for number, transfer in self._running.items() if transfer.source == source]

    def from_cdns(self, rendition: int) -> Iterator[int]:
        """Media numbers of the rendition that CDNs are sending."""
        for transfer in self._running.values():
            key = transfer.key
            if key.rendition == rendition and key.kind is Kind.MEDIA and not is_peer(transfer.source):
                yield key.number
