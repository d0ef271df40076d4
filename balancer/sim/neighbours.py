"""Whom a viewer is connected to, and what they tell each other of their stores.

    Neighbours    of one viewer, in all of its swarms; whom it may meet there, members.py knows

It tells them what the session's actors tell (`actors/neighbours.py`): who is new, all that
is held; the others, what has changed.  Of a live stream only what the playlist still names
is told, since nobody can ask for anything else.  An announcement costs each of those who
hear it, so what is told again, or too late to matter, would be most of a simulation's time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import PeerAnnounced, PeerJoined, PeerLeft, SwarmJoined
from ..model import ResourceKey
from .members import Members
from .scenario import Behaviour
from .transfer import CdnTransfer, PeerTransfer

if TYPE_CHECKING:
    from .viewer import Viewer

__all__ = ["Neighbours"]

_ANNOUNCE_DELAY_US = 50_000  # as BalancerConfig.announce_delay_us
_SLID_SEGMENTS = 3  # that left our playlist may still be in another's, which is reloaded at another moment


class Neighbours:
    __slots__ = ("_announcing", "_joined", "_met", "_numbers", "_told", "_viewer", "_world")

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._world = viewer.world
        self._met: dict[tuple[int, int], Viewer] = {}  # by rendition and place
        self._joined: dict[int, None] = {}  # renditions
        self._numbers: dict[int, dict[int, None]] = {}  # by rendition: the media that is held
        self._told: dict[int, PeerAnnounced] = {}  # by rendition
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
        self._met.pop((rendition, other.place), None)
        self._viewer.choking.leave(other.name_in(rendition))
        self._world.at(self._world.now_us, other.neighbours.drop, (self._viewer, rendition))

    def drop(self, other: Viewer, rendition: int) -> None:
        """The other end of the channel is gone."""
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
        self._met[rendition, other.place] = other
        viewer = self._viewer
        viewer.feed(PeerJoined(other.name_in(rendition), rendition, own=viewer.name_in(rendition)))
        if viewer.spec.behaviour is not Behaviour.FREE_RIDER:
            self._told[rendition] = self._holdings(rendition)
            self._send(other, rendition, self._told[rendition])

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
        if before is not None and holdings.held is before.held and holdings.fetching is before.fetching:
            return
        self._told[rendition] = holdings
        for (swarm, _), other in self._met.items():
            if swarm == rendition:
                self._send(other, rendition, holdings)

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

    def _send(self, other: Viewer, rendition: int, event: PeerAnnounced) -> None:
        way_us = (self._viewer.spec.rtt_us + other.spec.rtt_us) // 2
        self._world.at(self._world.now_us + way_us, other.neighbours.hear, (self._viewer, rendition, event))

    def hear(self, other: Viewer, rendition: int, event: PeerAnnounced) -> None:
        if (rendition, other.place) in self._met:
            self._viewer.hear(event)
