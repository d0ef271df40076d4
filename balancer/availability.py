"""Who holds what: the peers of each rendition and the media numbers they announced.

Keeps each peer's last word, and an index of it by number, since that is how it is
asked: for each segment of a window, after each event.  Rarity is the number of
holders.  Order of peers is that of joining, so that runs repeat.
"""

from __future__ import annotations

__all__ = ["Availability"]

_NONE: frozenset[int] = frozenset()


class _Swarm:
    """The peers of one rendition."""

    __slots__ = ("fetchers", "holders", "peers", "told_count", "version")

    def __init__(self) -> None:
        self.peers: dict[str, tuple[frozenset[int], frozenset[int]]] = {}  # held, fetching
        self.holders: dict[int, dict[str, int]] = {}  # number -> peer -> its place in the order of joining
        self.fetchers: dict[int, int] = {}  # number -> how many are getting it
        self.told_count = 0  # peers that announced anything, were it nothing
        self.version = 0  # another one whenever these are others

    def change(self, peer: str, place: int, held: frozenset[int], fetching: frozenset[int]) -> None:
        """What the peer holds and fetches from now on.  Cost: what is new in it."""
        old_held, old_fetching = self.peers[peer]
        self.peers[peer] = (held, fetching)
        for number in held - old_held:
            self.holders.setdefault(number, {})[peer] = place
        for number in old_held - held:
            holders = self.holders[number]
            del holders[peer]
            if not holders:
                del self.holders[number]
        for number in fetching - old_fetching:
            self.fetchers[number] = self.fetchers.get(number, 0) + 1
        for number in old_fetching - fetching:
            self.fetchers[number] -= 1
            if not self.fetchers[number]:
                del self.fetchers[number]


_NOBODY = _Swarm()


class Availability:
    def __init__(self) -> None:
        self._swarms: dict[int, _Swarm] = {}
        self._renditions: dict[str, int] = {}
        self._places: dict[str, int] = {}
        self._joined = 0
        self._told: dict[str, None] = {}

    def join(self, peer: str, rendition: int) -> None:
        self.leave(peer)
        self._joined += 1
        self._places[peer] = self._joined
        self._renditions[peer] = rendition
        self._swarms.setdefault(rendition, _Swarm()).peers[peer] = (_NONE, _NONE)

    def leave(self, peer: str) -> None:
        """Forget a peer; unknown ones are none of our business."""
        rendition = self._renditions.pop(peer, None)
        if rendition is not None:
            swarm = self._swarms[rendition]
            swarm.change(peer, self._places.pop(peer), _NONE, _NONE)
            del swarm.peers[peer]
            if peer in self._told:
                del self._told[peer]
                swarm.told_count -= 1
                swarm.version += 1

    def announce(self, peer: str, held: frozenset[int], fetching: frozenset[int]) -> None:
        """Replaces what the peer said before.  Cost: what is new in it."""
        rendition = self._renditions.get(peer)
        if rendition is not None:
            swarm = self._swarms[rendition]
            swarm.change(peer, self._places[peer], held, fetching)
            if peer not in self._told:
                self._told[peer] = None
                swarm.told_count += 1
                swarm.version += 1

    def news(self, peer: str, held: frozenset[int], fetching: frozenset[int]) -> frozenset[int] | None:
        """Of which numbers the peer would say something else than before; None of one that has said nothing yet."""
        rendition = self._renditions.get(peer)
        if rendition is None:
            return _NONE
        if peer not in self._told:
            return None
        old_held, old_fetching = self._swarms[rendition].peers[peer]
        return (held ^ old_held) | (fetching ^ old_fetching)

    def rendition(self, peer: str) -> int | None:
        """Which one the peer is in; None for an unknown peer."""
        return self._renditions.get(peer)

    def lacks(self, peer: str, number: int) -> None:
        """The peer was asked and does not have it, whatever it announced."""
        rendition = self._renditions.get(peer)
        if rendition is not None:
            swarm = self._swarms[rendition]
            held, fetching = swarm.peers[peer]
            swarm.change(peer, self._places[peer], held - {number}, fetching - {number})

    def peer_count(self, rendition: int) -> int:
        """Peers whose holdings are known; one that has just joined may hold all or nothing."""
        return self._swarms.get(rendition, _NOBODY).told_count

    def known_peers(self, rendition: int) -> list[str]:
        """Peers whose holdings are known, in order of joining."""
        return [peer for peer in self._swarms.get(rendition, _NOBODY).peers if peer in self._told]

    def version(self, rendition: int) -> int:
        """Another number whenever `known_peers` are others: what was made of them is then to be made anew."""
        return self._swarms.get(rendition, _NOBODY).version

    def holds(self, peer: str, number: int) -> bool:
        rendition = self._renditions.get(peer)
        return rendition is not None and number in self._swarms[rendition].peers[peer][0]

    def held_count(self, peer: str) -> int:
        rendition = self._renditions.get(peer)
        return 0 if rendition is None else len(self._swarms[rendition].peers[peer][0])

    def holder_count(self, rendition: int, number: int) -> int:
        """How many peers hold it.  Constant time."""
        return len(self._swarms.get(rendition, _NOBODY).holders.get(number, ()))

    def holders(self, rendition: int, number: int) -> list[str]:
        """Peers that hold it, in order of joining.  Cost: themselves."""
        places = self._swarms.get(rendition, _NOBODY).holders.get(number)
        return sorted(places, key=places.__getitem__) if places else []

    def is_being_fetched(self, rendition: int, number: int) -> bool:
        """Whether a peer is getting it from a CDN now, and so will hold it soon."""
        return number in self._swarms.get(rendition, _NOBODY).fetchers
