"""The CDNs of a session: those it was opened with, those that pathways add, and the order that a steering server gives.

A part of the session, whose actor it uses to start others.  A pathway whose
streams are just what a given CDN has is that CDN; any other gets an actor of its
own.  Pathways are told apart by priority alone: the policy asks a later one only
while none before it can be asked, and goes over to it when that one fails or is
too slow.

    priority   0, 1, ...   as PATHWAY-PRIORITY lists them; before there is one, the home and then all others
               the last    pathways that it does not list: better than a picture that stops
               not asked   a given CDN that has nothing of these streams; documents are still asked of it

Peers are a pathway too, under the id `peers_pathway`.  Listed, they are asked only
while no pathway before them can be.  A server that has never listed them does not know
of them, and they are asked as ever; one that lists them no more has them behind
all others, as a pathway that it does not list is.  A pathway of the stream that has
that id is that pathway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from shoal.runtime import Actor, ActorRef

from ..events import CdnAdded, Event, PeersRanked
from ..formats.steering import SteeringManifest
from ..pathways import PATHWAYS_MAX, Pathways
from . import messages as m
from .cdn import Cdn
from .parts import SessionParts

__all__ = ["Cdns"]

_UNFIT = re.compile(r"[^A-Za-z0-9._-]")
_NAME_CHARACTERS_MAX = 64


class Cdns:
    def __init__(
        self,
        session: Actor[Any],
        parts: SessionParts,
        decide: Callable[[Event], None],
        note: Callable[[str], None],
    ) -> None:
        self._session = session
        self._parts = parts
        self._given = {cdn.name: cdn for cdn in parts.cdns}
        self._decide = decide
        self._note = note
        self._refs: dict[str, ActorRef[Any]] = {}
        self._added: dict[str, CdnAdded] = {}  # as the policy was told last
        self._pathways: Pathways | None = None
        self._names: dict[str, str] = {}  # pathway id -> CDN
        self._current: str | None = None  # the pathway asked last
        self._peers: PeersRanked | None = None  # as the policy was told last; None: nobody has listed them

    def start(self) -> None:
        for cdn in self._parts.cdns:
            self._spawn(cdn.name, cdn.base_url)
            self._tell(cdn.name, priority=cdn.priority)

    def ref(self, name: str) -> ActorRef[Any]:
        return self._refs[name]

    @property
    def refs(self) -> tuple[ActorRef[Any], ...]:
        """Those that the policy asks first come first."""
        order = sorted(self._added.values(), key=lambda added: (not added.is_used, added.priority))
        if self._pathways is None:
            order = list(self._added.values())
        return tuple(self._refs[added.cdn] for added in order)

    def asked(self, name: str) -> None:
        """The policy chose this one."""
        for pathway, cdn in self._names.items():
            if cdn == name:
                self._current = pathway
                return

    def found(self, pathways: Pathways) -> None:
        """The multivariant playlist names these."""
        self._pathways, self._current = pathways, pathways.home
        for pathway in pathways.ids:
            self._take(pathway)
        if not pathways.is_below(self._parts.primary_url):
            for cdn in self._parts.cdns:
                if cdn.name not in self._names.values():
                    self._tell(cdn.name, priority=cdn.priority, is_used=False)
        self._route()
        self._rank((pathways.home,))

    def steered(self, manifest: SteeringManifest) -> bool:
        """Follow it; whether anything changed, so that documents are asked for in another order."""
        assert self._pathways is not None, "nobody is steered before there are pathways"
        before, peers_before = dict(self._added), self._peers
        for clone in manifest.clones:
            more = self._pathways.with_clone(clone)
            if more is not None:
                self._pathways = more
                self._take(clone.id)
            elif clone.id not in self._names:
                self._note(
                    f"pathway {clone.id} is not added: its base {clone.base_id} is not known, "
                    f"or there are {PATHWAYS_MAX} pathways"
                )
        if len(self._refs) > len(before):
            self._route()
        peers = self._parts.config.peers_pathway
        known = [pathway for pathway in manifest.priority if pathway in self._names or pathway == peers]
        if known:
            self._rank(known)
        else:
            self._note(f"the steering server names no pathway of this stream: {', '.join(manifest.priority)}")
        if self._added == before and self._peers == peers_before:
            return False
        self._note(f"steered: pathways come in the order {', '.join(known)}")
        return True

    def playing(self, bytes_per_s: Callable[[str], float | None]) -> m.Playing:
        """The pathway asked last, and what was measured of its CDN."""
        name = self._names.get(self._current or "")
        rate = None if name is None else bytes_per_s(name)
        return m.Playing(self._current, None if rate is None else int(8 * rate))

    def _take(self, pathway: str) -> None:
        """Give a pathway its CDN."""
        assert self._pathways is not None
        for cdn in self._parts.cdns:
            is_free = cdn.name not in self._names.values()
            if is_free and self._pathways.is_mirror(pathway, self._parts.primary_url, cdn.base_url):
                self._names[pathway] = cdn.name
                return
        name = stem = _UNFIT.sub("_", pathway)[:_NAME_CHARACTERS_MAX] if pathway != "." else "default"
        number = 1
        while name in self._refs:
            number += 1
            name = f"{stem}-{number}"
        self._names[pathway] = name
        self._spawn(name, None)  # the policy is told of it with its priority

    def _spawn(self, name: str, base_url: str | None) -> None:
        parts = self._parts
        self._refs[name] = self._session.spawn(
            Cdn,
            self._session.ref,
            parts.fetcher,
            parts.config,
            name=f"cdn-{name}",
            cdn=name,
            base_url=base_url,
            primary_url=parts.primary_url,
            headers=parts.headers,
            cmcd=parts.cmcd,
        )

    def _route(self) -> None:
        assert self._pathways is not None
        for pathway, routes in self._pathways.routes().items():
            self._refs[self._names[pathway]].tell(m.Routed(routes))

    def _rank(self, ids: Sequence[str]) -> None:
        places: dict[str | None, int] = {pathway: place for place, pathway in enumerate(ids)}
        for pathway, name in self._names.items():
            self._tell(name, priority=places.get(pathway, len(places)))
        peers = self._parts.config.peers_pathway
        if peers in places and peers not in self._names:
            place = places[peers]
        elif self._peers is not None:
            place = len(places) + 1
        else:
            return
        if self._peers is None or self._peers.priority != place:
            self._peers = PeersRanked(place)
            self._decide(self._peers)

    def _tell(self, name: str, *, priority: int, is_used: bool = True) -> None:
        """To the policy, where it is new."""
        added = CdnAdded(cdn=name, priority=priority, is_used=is_used)
        cdn = self._given.get(name)
        if cdn is not None:
            added = msgspec.structs.replace(
                added, weight=cdn.weight, price_per_gb=cdn.price_per_gb, commit_bytes=cdn.commit_bytes
            )
        if self._added.get(name) != added:
            self._added[name] = added
            self._decide(added)
