"""What a viewer cares to hear: from most of what its peers say nothing follows.

    heeds(announced, now_us)    whether anything may follow from it now
    numbers(now_us)             of which numbers that may be, and until when

Both may say so of what turns out to change nothing; what they leave out changes nothing for certain, and is only noted.
"""

from __future__ import annotations

from .decisions import Decisions
from .events import PeerAnnounced
from .ledger import Ledger
from .model import Kind, ResourceKey
from .transfers import WANTED

__all__ = ["NEVER", "Interest"]

NEVER = 1 << 62  # later than any moment, and higher than any number of a segment


class Interest:
    __slots__ = ("_book", "_decisions")

    def __init__(self, book: Ledger, decisions: Decisions) -> None:
        self._book = book
        self._decisions = decisions

    def is_due(self, now_us: int) -> bool:
        """Whether something was to be looked at by now, whatever is heard."""
        return self._book.wake_us is not None and now_us >= self._book.wake_us

    def heeds(self, announced: PeerAnnounced, now_us: int) -> bool:
        """Whether anything may follow from it now.

        It does if the peer speaks for the first time; if it has got what is still to be found a source for, and may be
        asked for it; or if it has, or is getting, such a segment no more.  That it is getting one is a reason to wait,
        and what is waited for anyway is looked at when its time comes, as what runs is, by whoever holds it then.
        """
        if self.is_due(now_us):
            return True
        book = self._book
        said = book.availability.peer(announced.peer)
        if said is None:
            return False
        if not said.is_told:
            return True
        timeline = book.timelines.get(said.rendition)
        if timeline is None:
            return False
        held, fetching = announced.held, announced.fetching
        peer = book.peers.get(announced.peer)
        for number in said.news(held, fetching):
            is_held = number in held
            if not is_held and number in fetching:
                continue
            key = timeline.key_of(number)
            want = book.wants.get(ResourceKey(said.rendition, Kind.MEDIA, number) if key is None else key)
            if want is None:
                ahead = timeline.ahead(now_us)
                if not ahead or not ahead[0].key.number <= number <= ahead[len(ahead) - 1].key.number:
                    continue
            elif want.phase is not WANTED:
                continue
            if not is_held or peer is None or key is None:
                return True
            if self._decisions.may_ask(peer, key, want, timeline, now_us):
                return True
        return False

    def numbers(self, now_us: int) -> tuple[int, int, int]:
        """From and to which media number `heeds` may be true of what a known peer says, and before which moment.

        For a simulation of many viewers, which asks once for many announcements: all that lie outside are only noted
        (`Holdings.says`).  It holds until the next event, and is wider than need be.  That a peer is getting a segment
        that it does not hold yet is never a reason, so such numbers need not be looked for.
        """
        book = self._book
        until_us = NEVER if book.wake_us is None else book.wake_us
        if book.availability.has_lacked:  # then what is news to us is not what the peer takes for it
            return -1, NEVER, until_us
        lowest, highest = NEVER, -1
        for key in book.open:
            want = book.wants[key]
            if want.phase is WANTED:
                lowest, highest = min(lowest, key.number), max(highest, key.number)
        for timeline in book.timelines.values():
            ahead = timeline.ahead(now_us)
            if ahead:
                first, last = ahead[0].key.number, ahead[len(ahead) - 1].key.number
                for number in range(first, last + 1):
                    named = timeline.key_of(number)
                    if named is None or named not in book.wants:
                        lowest, highest = min(lowest, number), max(highest, number)
        return lowest, highest, until_us
