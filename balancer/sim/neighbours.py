"""Whom a viewer is connected to, and what they tell each other of their stores.

    Neighbours    of one viewer, in all of its swarms; whom it may meet there, members.py knows

It tells them what the session's actors tell (`actors/neighbours.py`): who is new, all that
is held; the others, what has changed.  Of a live stream only what the playlist still names
is told, since nobody can ask for anything else.  An announcement costs each of those who
hear it, so what is told again, or too late to matter, would be most of a simulation's time.
For the same reason one from which nothing can follow waits unread until the viewer next
decides something (`catch_up`); then only each peer's last word is taken in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..events import PeerAnnounced, PeerJoined, PeerLeft, SwarmJoined
from ..model import ResourceKey
from ..policy import NEVER, Policy
from .members import Members
from .scenario import Behaviour
from .transfer import CdnTransfer, PeerTransfer

if TYPE_CHECKING:
    from .viewer import Viewer

__all__ = ["Neighbours"]

_ANNOUNCE_DELAY_US = 50_000  # as BalancerConfig.announce_delay_us
_NONE: frozenset[int] = frozenset()
_SLID_SEGMENTS = 3  # that left our playlist may still be in another's, which is reloaded at another moment


class _Word:
    """What a viewer tells all of its neighbours, or one who is new."""

    __slots__ = (
        "event",
        "fetching",
        "fetching_before",
        "fetching_news",
        "held",
        "held_before",
        "held_news",
        "highest",
        "is_first",
        "lowest",
        "peer",
        "whose",
    )

    def __init__(self, event: PeerAnnounced, whose: tuple[int, int], before: PeerAnnounced | None) -> None:
        """`before`: the word before it; None where it is the first that who hears it has of this viewer."""
        self.event = event
        self.whose = whose  # rendition and place
        self.peer = event.peer
        self.held = self.held_before = event.held
        self.fetching = self.fetching_before = event.fetching
        self.held_news = self.fetching_news = _NONE  # numbers in one of the two alone
        self.is_first = before is None
        if before is not None:
            self.held_before, self.fetching_before = before.held, before.fetching
            if self.held is not before.held:
                self.held_news = self.held ^ before.held
            if self.fetching is not before.fetching:
                self.fetching_news = self.fetching ^ before.fetching
        self.lowest, self.highest = NEVER, -1  # of the numbers of which it says something else than before
        for news in (self.held_news, self.fetching_news):
            for number in news:
                self.lowest, self.highest = min(self.lowest, number), max(self.highest, number)


class Neighbours:
    __slots__ = (
        "_announcing",
        "_availability",
        "_from",
        "_joined",
        "_met",
        "_news",
        "_numbers",
        "_policy",
        "_to",
        "_told",
        "_unread",
        "_until_us",
        "_up_to_date",
        "_viewer",
        "_world",
        "hearing",
        "knows_interest",
    )

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._world = viewer.world
        # Another class, were it derived from it, may do more with what it hears than is known here.
        self._policy: Policy | None = viewer.strategy if type(viewer.strategy) is Policy else None
        self._availability = None if self._policy is None else self._policy.availability
        self.hearing: Callable[[_Word], None] = self.hear  # made once: it is put on the agenda with each word
        self._unread: list[_Word] = []
        self.knows_interest = False  # the next three are the policy's last word, `Policy.interest`
        self._from = self._to = self._until_us = 0
        self._news: dict[int, tuple[int, int]] = {}  # by rendition: what was told to new ones alone, from and to
        self._met: dict[tuple[int, int], Viewer] = {}  # by rendition and place
        self._joined: dict[int, None] = {}  # renditions
        self._numbers: dict[int, dict[int, None]] = {}  # by rendition: the media that is held
        self._told: dict[int, PeerAnnounced] = {}  # by rendition
        self._up_to_date: dict[int, dict[int, None]] = {}  # by rendition: new ones, who know what was told last
        self._announcing: dict[int, None] = {}

    def join(self, rendition: int) -> None:
        """Join the swarm, and connect to some who are there; once."""
        world, viewer = self._world, self._viewer
        if not world.scenario.swarm or rendition in self._joined:
            return
        self._joined[rendition] = None
        viewer.feed(SwarmJoined(rendition))
        members = world.swarms.setdefault(rendition, Members())
        others = members.some(world.scenario.neighbours, world.scenario.seed, viewer.place, rendition)
        members.join(viewer)
        for other in others:
            world.at(world.now_us + world.scenario.connect_us, self._connect, (other, rendition))

    def leave(self) -> None:
        """The viewer goes: its channels close, and no tracker names it any more."""
        for (rendition, _), other in list(self._met.items()):
            other.neighbours.drop(self._viewer, rendition)
        for rendition in self._joined:
            self._world.swarms[rendition].leave(self._viewer)

    def ban(self, other: Viewer, rendition: int) -> None:
        """Cut the channel; the other hears of it now."""
        self.catch_up()
        self._met.pop((rendition, other.place), None)
        self._viewer.choking.leave(other.name_in(rendition))
        self._world.at(self._world.now_us, other.neighbours.drop, (self._viewer, rendition))

    def drop(self, other: Viewer, rendition: int) -> None:
        """The other end of the channel is gone."""
        self.catch_up()
        if self._met.pop((rendition, other.place), None) is None:
            return
        for transfer in list(self._viewer.transfers.values()):
            if isinstance(transfer, PeerTransfer) and transfer.peer is other:
                transfer.failed("closed")
        self._viewer.choking.leave(other.name_in(rendition))
        self._viewer.feed(PeerLeft(other.name_in(rendition), "closed"))

    def _connect(self, other: Viewer, rendition: int) -> None:
        is_new = self._viewer.is_here and other.is_here and (rendition, other.place) not in self._met
        if is_new and not other.neighbours.is_full:
            self.meet(other, rendition)
            other.neighbours.meet(self._viewer, rendition)

    @property
    def is_full(self) -> bool:
        """Whether it has as many as it sought, and as many again who sought it: those who came later choose."""
        return len(self._met) >= 2 * self._world.scenario.neighbours

    def meet(self, other: Viewer, rendition: int) -> None:
        self.catch_up()
        self._met[rendition, other.place] = other
        viewer = self._viewer
        viewer.feed(PeerJoined(other.name_in(rendition), rendition, own=viewer.name_in(rendition)))
        if viewer.spec.behaviour is not Behaviour.FREE_RIDER:
            before = self._told.get(rendition)
            told = self._told[rendition] = self._holdings(rendition)
            if before is not None and not _is_same(before, told):
                self._heard_late(rendition, _Word(told, (rendition, viewer.place), before))
                self._up_to_date.pop(rendition, None)
            self._up_to_date.setdefault(rendition, {})[other.place] = None
            self._send(other, _Word(told, (rendition, viewer.place), None))

    # --- what is told

    def hold(self, key: ResourceKey) -> None:
        """This is in the viewer's store."""
        self._numbers.setdefault(key.rendition, {})[key.number] = None
        self.tell(key.rendition)

    def tell(self, rendition: int) -> None:
        """Something of what is held, or being fetched from a CDN, may be another: tell them soon."""
        if rendition not in self._announcing and self._met:
            self._announcing[rendition] = None
            self._world.at(self._world.now_us + _ANNOUNCE_DELAY_US, self._announce, (rendition,))

    def _announce(self, rendition: int) -> None:
        self._announcing.pop(rendition, None)
        if not self._viewer.is_here or self._viewer.spec.behaviour is Behaviour.FREE_RIDER:
            return
        holdings = self._holdings(rendition)
        before = self._told.get(rendition)
        if before is None or not _is_same(before, holdings):
            self._up_to_date.pop(rendition, None)
        elif rendition not in self._news:
            return
        know_it = self._up_to_date.pop(rendition, {})
        self._told[rendition] = holdings
        word = _Word(holdings, (rendition, self._viewer.place), before)
        word.is_first = False
        late = self._news.pop(rendition, None)
        if late is not None:
            word.lowest, word.highest = min(word.lowest, late[0]), max(word.highest, late[1])
        for (swarm, place), other in self._met.items():
            if swarm == rendition and place not in know_it:
                self._send(other, word)

    def _heard_late(self, rendition: int, word: _Word) -> None:
        """New ones were told alone: from and to which number all others hear something else with the next word."""
        lowest, highest = self._news.get(rendition, (NEVER, -1))
        self._news[rendition] = min(lowest, word.lowest), max(highest, word.highest)

    def _holdings(self, rendition: int) -> PeerAnnounced:
        viewer, stream, end = self._viewer, self._world.scenario.stream, self._world.available()
        first = max(0, end - stream.window - _SLID_SEGMENTS) if stream.is_live else 0
        held = frozenset([n for n in self._numbers.get(rendition, ()) if n >= first])
        if viewer.spec.behaviour is Behaviour.HONEST:
            self._numbers[rendition] = dict.fromkeys(sorted(held))
        else:
            held = frozenset(range(first, end))
        fetching = frozenset(
            [
                t.key.number
                for t in viewer.transfers.values()
                if isinstance(t, CdnTransfer) and t.key.rendition == rendition and t.key.number not in held
            ]
        )
        before = self._told.get(rendition)
        if before is not None:  # the same objects for the same sets: who hears them sees at once that they are
            held = before.held if held == before.held else held
            fetching = before.fetching if fetching == before.fetching else fetching
        return PeerAnnounced(viewer.name_in(rendition), held, fetching)

    def _send(self, other: Viewer, word: _Word) -> None:
        way_us = (self._viewer.rtt_us + other.rtt_us) // 2
        self._world.at(self._world.now_us + way_us, other.neighbours.hearing, (word,))

    # --- what is heard

    def hear(self, word: _Word) -> None:
        """Leave it unread if nothing can follow from it now, whoever said it."""
        if self._policy is not None and not self._may_matter(word):
            self._unread.append(word)
            return
        self.catch_up()
        if word.whose in self._met:
            self._foresee(word)
            self._viewer.hear(word.event, len(word.held))

    def _may_matter(self, word: _Word) -> bool:
        now_us = self._world.now_us
        if not self.knows_interest:
            assert self._policy is not None
            self._from, self._to, self._until_us = self._policy.interest(now_us)
            self.knows_interest = True
        return word.is_first or now_us >= self._until_us or (word.highest >= self._from and word.lowest <= self._to)

    def catch_up(self) -> None:
        """Take in what is unread.  To be called before anything that looks at what peers hold, or who they are."""
        if not self._unread:
            return
        assert self._policy is not None, "only what a policy shows no interest in waits unread"
        unread, self._unread = self._unread, []
        last = {word.whose: word for word in unread}
        for whose, word in last.items():
            if whose in self._met:
                self._viewer.choking.heard(word.peer, len(word.held))
                self._foresee(word)
                self._policy.note_announced(word.peer, word.held, word.fetching)

    def _foresee(self, word: _Word) -> None:
        """What a word says else than the one before it is found once, not by each who hears both."""
        if self._availability is None:
            return
        if word.held_news:
            self._availability.foresee_held(word.peer, word.held_before, word.held, word.held_news)
        if word.fetching_news:
            self._availability.foresee_fetching(word.peer, word.fetching_before, word.fetching, word.fetching_news)


def _is_same(before: PeerAnnounced, after: PeerAnnounced) -> bool:
    """Whether `_holdings` found what was told already: then it gives the same objects."""
    return before.held is after.held and before.fetching is after.fetching
