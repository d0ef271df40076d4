"""Whether the viewer's line has room for one more transfer.

What plays first has the line first.  Transfers that share a line slow each other down,
so one that plays later may run beside one that plays earlier only if the earlier is in
time all the same: at the share of the line that would be left to it, it must need at
most `surplus_share` of the time until it plays.  The rest is for a line that gets
slower, and for a second try.

    left to the earlier one = line - what the others take
    a CDN, an unmeasured peer: its fair part of the line; a measured peer: what it sends, if that is less

Before anything plays, and while the line was never measured, there is no room.
What began when there was room is stopped when it takes more than `yield_share`: the
gap between the two shares keeps transfers from being stopped and begun by turns.
"""

from __future__ import annotations

from .bandwidth import total
from .ledger import Ledger
from .model import ResourceKey
from .transfers import RUNNING, Transfer

__all__ = ["Surplus"]

_NEVER_US = 1 << 62


class Surplus:
    __slots__ = ("_book",)

    def __init__(self, book: Ledger) -> None:
        self._book = book

    def has_room(self, deadline_us: int | None, bytes_per_s: float | None, now_us: int) -> bool:
        """Whether a transfer may begin that plays at `deadline_us`, from a source that sends at most `bytes_per_s`.

        None stands for a deadline, or a speed, that is not known.  Cost: the square of the running transfers.
        """
        return self._fits(deadline_us, [bytes_per_s], self._book.config.surplus_share, now_us)

    def to_yield(self, now_us: int) -> Transfer | None:
        """The transfer that must stop so that what plays earlier is in time; None if all may go on."""
        last: Transfer | None = None
        for transfer in self._book.transfers.values():
            want = transfer.want
            if not want.urgent and (last is None or self._is_later(transfer, last)):
                last = transfer
        if last is None:
            return None
        if self._fits(self._book.deadline_us(last.key), [], self._book.config.yield_share, now_us):
            return None
        return last

    def _is_later(self, one: Transfer, other: Transfer) -> bool:
        """Whether it plays later, or began later of two that play together."""
        one_us, other_us = self._deadline(one), self._deadline(other)
        return one_us > other_us or (one_us == other_us and one.number > other.number)

    def _deadline(self, transfer: Transfer) -> int:
        deadline_us = self._book.deadline_us(transfer.key)
        return _NEVER_US if deadline_us is None else deadline_us

    def _fits(self, deadline_us: int | None, more: list[float | None], share: float, now_us: int) -> bool:
        """Whether what plays before is in time beside all that runs, and `more`: what others would take of the line."""
        book = self._book
        earlier = []
        for key in book.open:
            want = book.wants[key]
            if want.urgent or (want.phase is RUNNING and self._plays_before(want.key, deadline_us)):
                earlier.append(want)
        if not earlier:
            return True
        line = book.line.sure_bytes_per_s
        if line is None:
            return False
        demands = [book.demand(each) for each in book.transfers.values()] + more
        fair = line / max(1, len(demands))
        taken = total([fair if d is None else min(d, fair) for d in demands])
        for want in earlier:
            due_us = book.deadline_us(want.key)
            if due_us is None:
                return False
            transfer = None if want.transfer is None else book.transfers[want.transfer]
            own = None if transfer is None else book.demand(transfer)
            left = line - taken + (fair if own is None else min(own, fair))
            if own is not None and left >= own:
                continue  # its peer, not the line, is what it waits for
            if book.size_bytes(want) * 1_000_000 > share * max(0, due_us - now_us) * max(1.0, left):
                return False
        return True

    def _plays_before(self, key: ResourceKey, deadline_us: int | None) -> bool:
        due_us = self._book.deadline_us(key)
        return due_us is not None and (deadline_us is None or due_us < deadline_us)
