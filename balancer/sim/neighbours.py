"""Whom a viewer is connected to, and what they tell each other of their stores.

    Neighbours    of one viewer, in all of its swarms; whom it may meet there, members.py knows

It tells them what the session's actors tell (`actors/neighbours.py`): who is new, all that
is held; the others, what has changed.  Of a live stream only what the playlist still names
is told, since nobody can ask for anything else.  An announcement costs each of those who
hear it, so what is told again, or too late to matter, would be most of a simulation's time.
For the same reason one from which nothing can follow (`interest.py`) is noted as the peer's
last word and nothing else, and what a word says else than the one before it is found once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..availability import Holdings
from ..choking import Account
from ..events import PeerAnnounced, PeerJoined, PeerLeft, SwarmJoined
from ..interest import NEVER
from ..model import ResourceKey
from ..policy import Policy
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

    __slots__ = ("event", "fetching", "fetching_before", "held", "held_before", "highest", "is_first", "lowest", "news")

    def __init__(self, event: PeerAnnounced, before: PeerAnnounced | None) -> None:
        """`before`: the word before it; None where it is the first that who hears it has of this viewer."""
        self.event = event
        self.held = self.held_before = event.held
        self.fetching = self.fetching_before = event.fetching
        news = _NONE
        self.is_first = before is None
        if before is not None:
            self.held_before, self.fetching_before = before.held, before.fetching
            if self.held is not before.held:
                news = self.held ^ before.held
            if self.fetching is not before.fetching:
                news |= self.fetching ^ before.fetching
        self.news = tuple(news)  # numbers of which it says something else than before
        self.lowest, self.highest = NEVER, -1  # of those that somebody may care for
        for number in self.news:
            if number in self.held or number not in self.fetching:
                self.lowest, self.highest = min(self.lowest, number), max(self.highest, number)


class _Channel:
    """One viewer's end of a channel to another; what its words change is at hand."""

    __slots__ = ("_account", "_said", "hearing", "is_open", "other", "own", "rendition", "tell", "way_us")

    def __init__(self, own: Neighbours, other: Viewer, rendition: int, way_us: int) -> None:
        self.own = own
        self.other = other
        self.rendition = rendition
        self.way_us = way_us
        self.hearing: Callable[[_Word], None] = self.hear  # made once: it is put on the agenda with each word
        self.tell: Callable[[_Word], None] = self.hearing  # the other end's, which is made next
        self.is_open = True
        self._said: Holdings | None = None
        self._account: Account | None = None

    def opened(self, said: Holdings | None, account: Account) -> None:
        """The strategy was told of the peer.  `said`: None where it takes no notes."""
        self._said, self._account = said, account

    def close(self) -> None:
        """What is still on its way is never heard."""
        self.is_open = False
        self.tell = self.hearing = _unheard

    def hear(self, word: _Word) -> None:
        """Only note it if nothing can follow from it now."""
        if not self.is_open:
            return
        assert self._account is not None
        self._account.held_count = len(word.held)
        said = self._said
        if said is None:
            self.own.viewer.hear(word.event)
        elif self.own.heeds(word):
            self.own.viewer.feed(word.event)
        elif said.held is word.held_before and said.fetching is word.fetching_before:
            said.says_news(word.held, word.fetching, word.news)
        else:
            said.says(word.held, word.fetching)


def _unheard(word: _Word) -> None:
    """The channel is closed."""


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
        "_until_us",
        "_up_to_date",
        "_world",
        "knows_interest",
        "viewer",
    )

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self._world = viewer.world
        # Another class, were it derived from it, may do more with what it hears than is known here.
        self._policy: Policy | None = viewer.strategy if type(viewer.strategy) is Policy else None
        self.knows_interest = False  # the next three are the policy's last word, `Interest.numbers`
        self._from = self._to = self._until_us = 0
        self._news: dict[int, tuple[int, int]] = {}  # by rendition: what was told to new ones alone, from and to
        self._met: dict[tuple[int, int], _Channel] = {}  # by rendition and place
        self._joined: dict[int, None] = {}  # renditions
        self._numbers: dict[int, dict[int, None]] = {}  # by rendition: the media that is held
        self._told: dict[int, PeerAnnounced] = {}  # by rendition
        self._up_to_date: dict[int, dict[int, None]] = {}  # by rendition: new ones, who know what was told last
        self._announcing: dict[int, None] = {}

    def join(self, rendition: int) -> None:
        """Join the swarm, and connect to some who are there; once."""
        world, viewer = self._world, self.viewer
        if not world.scenario.swarm or rendition in self._joined:
            return
        self._joined[rendition] = None
        viewer.feed(SwarmJoined(rendition))
        members = world.swarms.setdefault(rendition, Members())
        others = members.some(world.scenario.neighbours, world.scenario.seed, viewer.place, rendition)
        members.join(viewer)
        for other in others:
            world.at(world.now_us + world.scenario.connect_us, self.connect, (other, rendition))

    def leave(self) -> None:
        """The viewer goes: its channels close, and no tracker names it any more."""
        for channel in list(self._met.values()):
            channel.other.neighbours.drop(self.viewer, channel.rendition)
            channel.close()
        for rendition in self._joined:
            self._world.swarms[rendition].leave(self.viewer)

    def ban(self, other: Viewer, rendition: int) -> None:
        """Cut the channel; the other hears of it now."""
        if self._closed(other, rendition):
            self.viewer.choking.leave(other.name_in(rendition))
            self._world.at(self._world.now_us, other.neighbours.drop, (self.viewer, rendition))

    def drop(self, other: Viewer, rendition: int) -> None:
        """The other end of the channel is gone."""
        if not self._closed(other, rendition):
            return
        for transfer in list(self.viewer.transfers.values()):
            if isinstance(transfer, PeerTransfer) and transfer.peer is other:
                transfer.failed("closed")
        self.viewer.choking.leave(other.name_in(rendition))
        self.viewer.feed(PeerLeft(other.name_in(rendition), "closed"))

    def _closed(self, other: Viewer, rendition: int) -> bool:
        """Whether there was a channel."""
        channel = self._met.pop((rendition, other.place), None)
        if channel is None:
            return False
        channel.close()
        return True

    def connect(self, other: Viewer, rendition: int) -> None:
        """Open a channel, unless there is one, or one of the two is gone or has enough."""
        is_new = self.viewer.is_here and other.is_here and (rendition, other.place) not in self._met
        if is_new and not other.neighbours.is_full:
            way_us = (self.viewer.rtt_us + other.rtt_us) // 2
            near = _Channel(self, other, rendition, way_us)
            far = _Channel(other.neighbours, self.viewer, rendition, way_us)
            near.tell, far.tell = far.hearing, near.hearing
            self._meet(near)
            other.neighbours._meet(far)  # noqa: SLF001, of the same class

    @property
    def is_full(self) -> bool:
        """Whether it has as many as it sought, and as many again who sought it: those who came later choose."""
        return len(self._met) >= 2 * self._world.scenario.neighbours

    def _meet(self, channel: _Channel) -> None:
        viewer, rendition, place = self.viewer, channel.rendition, channel.other.place
        name = channel.other.name_in(rendition)
        self._met[rendition, place] = channel
        viewer.feed(PeerJoined(name, rendition, own=viewer.name_in(rendition)))
        if channel.is_open:
            said = None if self._policy is None else self._policy.availability.peer(name)
            channel.opened(said, viewer.choking.account(name))
        if viewer.spec.behaviour is not Behaviour.FREE_RIDER:
            before = self._told.get(rendition)
            told = self._told[rendition] = self._holdings(rendition)
            if before is not None and not _is_same(before, told):
                self._heard_late(rendition, _Word(told, before))
                self._up_to_date.pop(rendition, None)
            self._up_to_date.setdefault(rendition, {})[place] = None
            self._send(channel, (_Word(told, None),))

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
        if not self.viewer.is_here or self.viewer.spec.behaviour is Behaviour.FREE_RIDER:
            return
        holdings = self._holdings(rendition)
        before = self._told.get(rendition)
        if before is None or not _is_same(before, holdings):
            self._up_to_date.pop(rendition, None)
        elif rendition not in self._news:
            return
        know_it = self._up_to_date.pop(rendition, {})
        self._told[rendition] = holdings
        word = _Word(holdings, before)
        word.is_first = False
        late = self._news.pop(rendition, None)
        if late is not None:
            word.lowest, word.highest = min(word.lowest, late[0]), max(word.highest, late[1])
        arguments = (word,)
        for channel in self._met.values():
            if channel.rendition == rendition and (not know_it or channel.other.place not in know_it):
                self._send(channel, arguments)

    def _heard_late(self, rendition: int, word: _Word) -> None:
        """New ones were told alone: from and to which number all others hear something else with the next word."""
        lowest, highest = self._news.get(rendition, (NEVER, -1))
        self._news[rendition] = min(lowest, word.lowest), max(highest, word.highest)

    def _holdings(self, rendition: int) -> PeerAnnounced:
        viewer, stream, end = self.viewer, self._world.scenario.stream, self._world.available()
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

    def _send(self, channel: _Channel, arguments: tuple[_Word]) -> None:
        self._world.at(self._world.now_us + channel.way_us, channel.tell, arguments)

    # --- what is heard

    def heeds(self, word: _Word) -> bool:
        """Whether something may follow from it now, whoever said it."""
        policy, now_us = self._policy, self._world.now_us
        assert policy is not None, "who takes no notes hears everything"
        if not self.knows_interest:
            self._from, self._to, self._until_us = policy.interest.numbers(now_us)
            self.knows_interest = True
        may_be = word.is_first or now_us >= self._until_us or (word.highest >= self._from and word.lowest <= self._to)
        return may_be and policy.interest.heeds(word.event, now_us)


def _is_same(before: PeerAnnounced, after: PeerAnnounced) -> bool:
    """Whether `_holdings` found what was told already: then it gives the same objects."""
    return before.held is after.held and before.fetching is after.fetching
