"""Who holds what: the peers of each rendition and the media numbers they announced.

Keeps each peer's last word; rarity is the number of holders.  Order of peers is
that of joining, so that runs repeat.
"""

from __future__ import annotations

__all__ = ["Availability"]

_NONE: frozenset[int] = frozenset()


class Availability:
    def __init__(self) -> None:
        # rendition -> peer -> held, fetching
        self._peers: dict[int, dict[str, tuple[frozenset[int], frozenset[int]]]] = {}
        self._renditions: dict[str, int] = {}
        self._told: dict[str, None] = {}  # peers that announced anything, were it nothing

    def join(self, peer: str, rendition: int) -> None:
        self.leave(peer)
        self._renditions[peer] = rendition
        self._peers.setdefault(rendition, {})[peer] = (_NONE, _NONE)

    def leave(self, peer: str) -> None:
        """Forget a peer; unknown ones are none of our business."""
        self._told.pop(peer, None)
        rendition = self._renditions.pop(peer, None)
        if rendition is not None:
            del self._peers[rendition][peer]

    def announce(self, peer: str, held: frozenset[int], fetching: frozenset[int]) -> None:
        """Replaces what the peer said before."""
        rendition = self._renditions.get(peer)
        if rendition is not None:
            self._peers[rendition][peer] = (held, fetching)
            self._told[peer] = None

    def lacks(self, peer: str, number: int) -> None:
        """The peer was asked and does not have it, whatever it announced."""
        rendition = self._renditions.get(peer)
        if rendition is not None:
            held, fetching = self._peers[rendition][peer]
            self._peers[rendition][peer] = (held - {number}, fetching - {number})

    def peer_count(self, rendition: int) -> int:
        """Peers whose holdings are known; one that has just joined may hold all or nothing."""
        return sum(peer in self._told for peer in self._peers.get(rendition, ()))

    def known_peers(self, rendition: int) -> list[str]:
        """Peers whose holdings are known, in order of joining."""
        return [peer for peer in self._peers.get(rendition, ()) if peer in self._told]

    def holds(self, peer: str, number: int) -> bool:
        rendition = self._renditions.get(peer)
        return rendition is not None and number in self._peers[rendition][peer][0]

    def held_count(self, peer: str) -> int:
        rendition = self._renditions.get(peer)
        return 0 if rendition is None else len(self._peers[rendition][peer][0])

    def holders(self, rendition: int, number: int) -> list[str]:
        """Peers that hold it, in order of joining.  Cost: the peers of the rendition."""
        return [peer for peer, (held, _) in self._peers.get(rendition, {}).items() if number in held]

    def is_being_fetched(self, rendition: int, number: int) -> bool:
        """Whether a peer is getting it from a CDN now, and so will hold it soon."""
        return any(number in fetching for _, fetching in self._peers.get(rendition, {}).values())
