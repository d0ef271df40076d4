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
_SLID_SEGMENTS = 3  # that left our playlist may still be in another's, which is reloaded at another moment


class _Word:
    """What a viewer tells all of its neighbours, or one who is new."""

    __slots__ = ("event", "highest", "is_first", "lowest", "place", "rendition")

    def __init__(self, event: PeerAnnounced, place: int, rendition: int, is_first: bool) -> None:
        self.event = event
        self.place = place  # whose word it is
        self.rendition = rendition
        self.is_first = is_first  # that who hears it has of this viewer
        self.lowest, self.highest = NEVER, -1  # of the numbers of which it says something else than before


class Neighbours:
    __slots__ = (
        "_announcing",
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
        "knows_interest",
    )

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._world = viewer.world
        # Another class, were it derived from it, may do more with what it hears than is known here.
        self._policy: Policy | None = viewer.strategy if type(viewer.strategy) is Policy else None
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
                self._news[rendition] = self._range_of_news(rendition, before, told)
                self._up_to_date.pop(rendition, None)
            self._up_to_date.setdefault(rendition, {})[other.place] = None
            self._send(other, _Word(told, viewer.place, rendition, True))

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
        word = _Word(holdings, self._viewer.place, rendition, False)
        if before is not None:
            word.lowest, word.highest = self._range_of_news(rendition, before, holdings)
            self._news.pop(rendition, None)
        for (swarm, place), other in self._met.items():
            if swarm == rendition and place not in know_it:
                self._send(other, word)

    def _range_of_news(self, rendition: int, before: PeerAnnounced, after: PeerAnnounced) -> tuple[int, int]:
        """From and to which number one of the neighbours hears something else than it knows."""
        lowest, highest = self._news.get(rendition, (NEVER, -1))
        news = [lowest, highest, *(before.held ^ after.held), *(before.fetching ^ after.fetching)]
        return min([number for number in news if number >= 0]), max([number for number in news if number < NEVER])

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
        way_us = (self._viewer.spec.rtt_us + other.spec.rtt_us) // 2
        self._world.at(self._world.now_us + way_us, other.neighbours.hear, (word,))

    # --- what is heard

    def hear(self, word: _Word) -> None:
        """Leave it unread if nothing can follow from it now, whoever said it."""
        if self._policy is not None and not self._may_matter(word):
            self._unread.append(word)
            return
        self.catch_up()
        if (word.rendition, word.place) in self._met:
            self._viewer.hear(word.event)

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
        last = {(word.rendition, word.place): word for word in unread}
        for whom, word in last.items():
            if whom in self._met:
                self._viewer.choking.heard(word.event.peer, len(word.event.held))
                self._policy.note(word.event, self._world.now_us)


def _is_same(before: PeerAnnounced, after: PeerAnnounced) -> bool:
    """Whether `_holdings` found what was told already: then it gives the same objects."""
    return before.held is after.held and before.fetching is after.fetching
