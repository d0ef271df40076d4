"""Who holds what: the peers of each rendition and the media numbers they announced.

Keeps each peer's last word, and an index of it by number, since that is how it is
asked: for each segment of a window, after each event.  Rarity is the number of
holders.  Order of peers is that of joining, so that runs repeat.

Peers say far more than is asked, so a word is only kept when it comes; the index is brought up to date by who looks
into it next.  In it the holders of a number are the bits of one integer, the peer that joined first the lowest.
"""

from __future__ import annotations

from .mixing import text_number

__all__ = ["Availability", "Holdings"]

_NONE: frozenset[int] = frozenset()
_NO_NAMES: tuple[str, ...] = ()
_FIRST_BIT = 1  # by its name, as an object: a number written there Cython would shift within 64 bits
_UNREAD_MAX = 32  # words of one peer that nobody looked for; while a player is paused nobody looks at all
_LEFT_MAX = 32  # bits of peers that are gone, beside one for each that is here; then all are given new ones


class Holdings:
    """One peer, and its last word."""

    __slots__ = ("bit", "fetching", "held", "is_told", "name", "number", "swarm", "unread")

    def __init__(self, name: str, swarm: _Swarm) -> None:
        self.name = name
        self.number = text_number(name)
        self.held = _NONE
        self.fetching = _NONE
        self.is_told = False  # it announced something, were it nothing
        self.bit = 0  # which it is in the index
        self.swarm = swarm
        self.unread: list[tuple[int, ...]] = []  # numbers that may stand otherwise in the index

    @property
    def rendition(self) -> int:
        return self.swarm.rendition

    def says(self, held: frozenset[int], fetching: frozenset[int]) -> None:
        """Replaces what it said before.  Cost: what is new in it."""
        self.says_news(held, fetching, tuple(self.news(held, fetching)))

    def says_news(self, held: frozenset[int], fetching: frozenset[int], news: tuple[int, ...]) -> None:
        """The same, where `news` is known: at least the numbers of which it says something else than before."""
        if not self.is_told:
            self.is_told = True
            self.swarm.told_count += 1
            self.swarm.version += 1
        self.set(held, fetching, news)

    def set(self, held: frozenset[int], fetching: frozenset[int], news: tuple[int, ...]) -> None:
        """As it says, or as is known of it otherwise."""
        self.held, self.fetching = held, fetching
        if news:
            if not self.unread:
                self.swarm.unread.append(self)
            self.unread.append(news)
            if len(self.unread) >= _UNREAD_MAX:
                self.swarm.catch_up()

    def news(self, held: frozenset[int], fetching: frozenset[int]) -> frozenset[int]:
        """Of which numbers it would say something else than before."""
        if fetching is self.fetching:
            return _NONE if held is self.held else held ^ self.held
        if held is self.held:
            return fetching ^ self.fetching
        return (held ^ self.held) | (fetching ^ self.fetching)


class _Swarm:
    """The peers of one rendition."""

    __slots__ = ("_fetchers", "_holders", "_names", "_orders", "peers", "rendition", "told_count", "unread", "version")

    def __init__(self, rendition: int) -> None:
        self.rendition = rendition
        self.peers: dict[str, Holdings] = {}
        self.unread: list[Holdings] = []  # who said something that is not in the index yet
        self._names: list[str] = []  # by bit
        self._holders: dict[int, int] = {}  # number -> bits of who holds it
        self._fetchers: dict[int, int] = {}  # number -> bits of who is getting it
        self._orders: dict[int, tuple[int, tuple[str, ...]]] = {}  # number -> bits, and their names in order
        self.told_count = 0  # peers that announced anything, were it nothing
        self.version = 0  # another one whenever these are others

    def join(self, name: str) -> Holdings:
        if len(self._names) >= 2 * len(self.peers) + _LEFT_MAX:
            self._number_anew()
        peer = self.peers[name] = Holdings(name, self)
        self._number(peer)
        return peer

    def leave(self, peer: Holdings) -> None:
        peer.set(_NONE, _NONE, (*peer.held, *peer.fetching))
        self.catch_up()
        del self.peers[peer.name]
        if peer.is_told:
            self.told_count -= 1
            self.version += 1

    def holders(self, number: int) -> int:
        if self.unread:
            self.catch_up()
        return self._holders.get(number, 0)

    def fetchers(self, number: int) -> int:
        if self.unread:
            self.catch_up()
        return self._fetchers.get(number, 0)

    def in_order(self, number: int) -> tuple[str, ...]:
        """Who holds it, in order of joining.  Cost: themselves, where they are others than at the last call."""
        bits = left = self.holders(number)
        if not bits:
            self._orders.pop(number, None)
            return _NO_NAMES
        known = self._orders.get(number)
        if known is not None and known[0] == bits:
            return known[1]
        names = []
        while left:
            lowest = left & -left
            names.append(self._names[lowest.bit_length() - 1])
            left ^= lowest
        self._orders[number] = (bits, tuple(names))
        return self._orders[number][1]

    def catch_up(self) -> None:
        """Put into the index what was said since.  Cost: what is new in it."""
        for peer in self.unread:
            for news in peer.unread:
                for number in news:
                    _mark(self._holders, number, peer.bit, number in peer.held)
                    _mark(self._fetchers, number, peer.bit, number in peer.fetching)
            peer.unread.clear()
        self.unread.clear()

    def _number(self, peer: Holdings) -> None:
        peer.bit = _FIRST_BIT << len(self._names)
        self._names.append(peer.name)

    def _number_anew(self) -> None:
        """Many have left: those who are here get the lowest bits, in the same order."""
        for index in (self._names, self._holders, self._fetchers, self._orders, self.unread):
            index.clear()
        for peer in self.peers.values():
            self._number(peer)
            peer.unread = [(*peer.held, *peer.fetching)]
            self.unread.append(peer)


def _mark(index: dict[int, int], number: int, bit: int, is_set: bool) -> None:
    bits = index.get(number, 0)
    if is_set:
        if not bits & bit:
            index[number] = bits | bit
    elif bits == bit:
        del index[number]
    elif bits & bit:
        index[number] = bits ^ bit


class Availability:
    __slots__ = ("_peers", "_swarms", "has_lacked")

    def __init__(self) -> None:
        self._swarms: dict[int, _Swarm] = {}
        self._peers: dict[str, Holdings] = {}
        self.has_lacked = False  # some peer did not have what it had announced

    def join(self, peer: str, rendition: int) -> None:
        self.leave(peer)
        swarm = self._swarms.get(rendition)
        if swarm is None:
            swarm = self._swarms[rendition] = _Swarm(rendition)
        self._peers[peer] = swarm.join(peer)

    def leave(self, peer: str) -> None:
        """Forget a peer; unknown ones are none of our business."""
        known = self._peers.pop(peer, None)
        if known is not None:
            known.swarm.leave(known)

    def peer(self, name: str) -> Holdings | None:
        """Its last word, to be told of the next without looking it up again; None for an unknown peer."""
        return self._peers.get(name)

    def announce(self, peer: str, held: frozenset[int], fetching: frozenset[int]) -> None:
        """Replaces what the peer said before.  Cost: what is new in it."""
        known = self._peers.get(peer)
        if known is not None:
            known.says(held, fetching)

    def lacks(self, peer: str, number: int) -> None:
        """The peer was asked and does not have it, whatever it announced."""
        known = self._peers.get(peer)
        if known is not None:
            self.has_lacked = True
            known.set(known.held - {number}, known.fetching - {number}, (number,))

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
        """How many peers hold it.  Cost: two look-ups, and what was said since the last question."""
        swarm = self._swarms.get(rendition)
        return 0 if swarm is None else swarm.holders(number).bit_count()

    def holders(self, rendition: int, number: int) -> tuple[str, ...]:
        """Peers that hold it, in order of joining.  Cost: themselves, where they are others than at the last call."""
        swarm = self._swarms.get(rendition)
        return _NO_NAMES if swarm is None else swarm.in_order(number)

    def is_being_fetched(self, rendition: int, number: int) -> bool:
        """Whether a peer is getting it from a CDN now, and so will hold it soon."""
        swarm = self._swarms.get(rendition)
        return swarm is not None and swarm.fetchers(number) != 0
