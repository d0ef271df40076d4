"""Who holds what: the peers of each rendition and the media numbers they announced.

Keeps each peer's last word, and an index of it by number, since that is how it is
asked: for each segment of a window, after each event.  Rarity is the number of
holders.  Order of peers is that of joining, so that runs repeat.
"""

from __future__ import annotations

from .mixing import text_number

__all__ = ["Availability"]

_NONE: frozenset[int] = frozenset()
_NO_NAMES: tuple[str, ...] = ()


class _Known:
    """One peer, and its last word."""

    __slots__ = (
        "fetching",
        "held",
        "is_told",
        "known_fetching_news",
        "known_held_news",
        "name",
        "next_fetching",
        "next_held",
        "number",
        "place",
        "swarm",
    )

    def __init__(self, name: str, place: int, swarm: _Swarm) -> None:
        self.name = name
        self.number = text_number(name)
        self.place = place  # in the order of joining
        self.swarm = swarm
        self.held = _NONE
        self.fetching = _NONE
        self.is_told = False  # it announced something, were it nothing
        # What differs in the word that was looked at last, which is mostly the next one.
        self.next_held = self.next_fetching = self.known_held_news = self.known_fetching_news = _NONE

    def held_news(self, held: frozenset[int]) -> frozenset[int]:
        """Of which numbers it would say something else."""
        if held is not self.next_held:
            self.next_held, self.known_held_news = held, held ^ self.held
        return self.known_held_news

    def fetching_news(self, fetching: frozenset[int]) -> frozenset[int]:
        if fetching is not self.next_fetching:
            self.next_fetching, self.known_fetching_news = fetching, fetching ^ self.fetching
        return self.known_fetching_news


class _Swarm:
    """The peers of one rendition."""

    __slots__ = ("_orders", "fetchers", "holders", "peers", "rendition", "told_count", "version")

    def __init__(self, rendition: int) -> None:
        self.rendition = rendition
        self.peers: dict[str, _Known] = {}
        self.holders: dict[int, dict[str, int]] = {}  # number -> peer -> its place in the order of joining
        self._orders: dict[int, tuple[str, ...]] = {}  # the same in that order, until they are others
        self.fetchers: dict[int, int] = {}  # number -> how many are getting it
        self.told_count = 0  # peers that announced anything, were it nothing
        self.version = 0  # another one whenever these are others

    def change(self, peer: _Known, held: frozenset[int], fetching: frozenset[int]) -> None:
        """What the peer holds and fetches from now on.  Cost: what is new in it."""
        if held is not peer.held:
            self._hold(peer, held)
        if fetching is not peer.fetching:
            self._fetch(peer, fetching)

    def _hold(self, peer: _Known, held: frozenset[int]) -> None:
        for number in peer.held_news(held):
            self._orders.pop(number, None)
            holders = self.holders.get(number)
            if number in held:
                if holders is None:
                    holders = self.holders[number] = {}
                holders[peer.name] = peer.place
            elif holders is not None:
                del holders[peer.name]
                if not holders:
                    del self.holders[number]
        peer.held = peer.next_held = held
        peer.known_held_news = _NONE

    def _fetch(self, peer: _Known, fetching: frozenset[int]) -> None:
        for number in peer.fetching_news(fetching):
            count = self.fetchers.get(number, 0) + (1 if number in fetching else -1)
            if count:
                self.fetchers[number] = count
            else:
                del self.fetchers[number]
        peer.fetching = peer.next_fetching = fetching
        peer.known_fetching_news = _NONE

    def in_order(self, number: int) -> tuple[str, ...]:
        """Who holds it, in order of joining.  Cost: themselves, where they are others than at the last call."""
        known = self._orders.get(number)
        if known is None:
            places = self.holders.get(number)
            if places is None:
                return _NO_NAMES
            known = self._orders[number] = tuple(sorted(places, key=places.__getitem__))
        return known


class Availability:
    __slots__ = ("_joined", "_peers", "_swarms", "has_lacked")

    def __init__(self) -> None:
        self._swarms: dict[int, _Swarm] = {}
        self._peers: dict[str, _Known] = {}
        self._joined = 0
        self.has_lacked = False  # some peer did not have what it had announced

    def join(self, peer: str, rendition: int) -> None:
        self.leave(peer)
        self._joined += 1
        swarm = self._swarms.get(rendition)
        if swarm is None:
            swarm = self._swarms[rendition] = _Swarm(rendition)
        self._peers[peer] = swarm.peers[peer] = _Known(peer, self._joined, swarm)

    def leave(self, peer: str) -> None:
        """Forget a peer; unknown ones are none of our business."""
        known = self._peers.pop(peer, None)
        if known is not None:
            swarm = known.swarm
            swarm.change(known, _NONE, _NONE)
            del swarm.peers[peer]
            if known.is_told:
                swarm.told_count -= 1
                swarm.version += 1

    def announce(self, peer: str, held: frozenset[int], fetching: frozenset[int]) -> None:
        """Replaces what the peer said before.  Cost: what is new in it."""
        known = self._peers.get(peer)
        if known is not None:
            swarm = known.swarm
            swarm.change(known, held, fetching)
            if not known.is_told:
                known.is_told = True
                swarm.told_count += 1
                swarm.version += 1

    def foresee_held(self, peer: str, before: frozenset[int], after: frozenset[int], news: frozenset[int]) -> None:
        """Which numbers are in one of the two alone: it need not be found if the peer's last word was `before`."""
        known = self._peers.get(peer)
        if known is not None and known.held is before:
            known.next_held, known.known_held_news = after, news

    def foresee_fetching(self, peer: str, before: frozenset[int], after: frozenset[int], news: frozenset[int]) -> None:
        """The same of what it is fetching."""
        known = self._peers.get(peer)
        if known is not None and known.fetching is before:
            known.next_fetching, known.known_fetching_news = after, news

    def news(self, peer: str, held: frozenset[int], fetching: frozenset[int]) -> frozenset[int] | None:
        """Of which numbers the peer would say something else than before; None of one that has said nothing yet."""
        known = self._peers.get(peer)
        if known is None:
            return _NONE
        if not known.is_told:
            return None
        held_news, fetching_news = known.held_news(held), known.fetching_news(fetching)
        if not fetching_news:
            return held_news
        return held_news | fetching_news if held_news else fetching_news

    def rendition(self, peer: str) -> int | None:
        """Which one the peer is in; None for an unknown peer."""
        known = self._peers.get(peer)
        return None if known is None else known.swarm.rendition

    def lacks(self, peer: str, number: int) -> None:
        """The peer was asked and does not have it, whatever it announced."""
        known = self._peers.get(peer)
        if known is not None:
            self.has_lacked = True
            known.swarm.change(known, known.held - {number}, known.fetching - {number})

    def peer_count(self, rendition: int) -> int:
        """Peers whose holdings are known; one that has just joined may hold all or nothing."""
        swarm = self._swarms.get(rendition)
        return 0 if swarm is None else swarm.told_count

    def known_peers(self, rendition: int) -> list[str]:
        """Peers whose holdings are known, in order of joining."""
        swarm = self._swarms.get(rendition)
        return [] if swarm is None else [known.name for known in swarm.peers.values() if known.is_told]

    def known_numbers(self, rendition: int) -> list[int]:
        """The same as numbers of their names (mixing.py), which are made once."""
        swarm = self._swarms.get(rendition)
        return [] if swarm is None else [known.number for known in swarm.peers.values() if known.is_told]

    def version(self, rendition: int) -> int:
        """Another number whenever `known_peers` are others: what was made of them is then to be made anew."""
        swarm = self._swarms.get(rendition)
        return 0 if swarm is None else swarm.version

    def holds(self, peer: str, number: int) -> bool:
        known = self._peers.get(peer)
        return known is not None and number in known.held

    def held_count(self, peer: str) -> int:
        known = self._peers.get(peer)
        return 0 if known is None else len(known.held)

    def holder_count(self, rendition: int, number: int) -> int:
        """How many peers hold it.  Constant time."""
        swarm = self._swarms.get(rendition)
        holders = None if swarm is None else swarm.holders.get(number)
        return 0 if holders is None else len(holders)

    def holders(self, rendition: int, number: int) -> tuple[str, ...]:
        """Peers that hold it, in order of joining.  Cost: themselves, where they are others than at the last call."""
        swarm = self._swarms.get(rendition)
        return _NO_NAMES if swarm is None else swarm.in_order(number)

    def is_being_fetched(self, rendition: int, number: int) -> bool:
        """Whether a peer is getting it from a CDN now, and so will hold it soon."""
        swarm = self._swarms.get(rendition)
        return swarm is not None and number in swarm.fetchers
