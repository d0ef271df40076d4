"""Others' policies behind the same interface, written from what is documented and measured of them.

    P2pMediaLoader   2.3, default settings: one CDN, HTTP first within 15 s of the playhead
    OneCdn           all from the CDN that is named first, in the order of the player's requests; no peers
    CheapestCdn      the same from the cheapest one, and after a failure the next by price
    RoundRobin       each segment from the next CDN
    BestScore        each segment from the CDN with the highest weight x measured throughput / price
    HlsJs            1.7 with content steering, default settings: one pathway until its retries are used up

Who runs any of them knows the prices too: what has one address of a segment has the cheapest CDN's, a steering server
puts the cheapest first, and a business score falls with the price.  Only OneCdn and RoundRobin do not care.

OneCdn, CheapestCdn, RoundRobin and BestScore ask the next CDN when one fails, from byte 0, as players do with
redundant streams, and give a transfer ten seconds without headers (hls.js,
`maxTimeToFirstByteMs`).  None of them verifies bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..config import BalancerConfig
from ..events import (
    Action,
    CancelTransfer,
    CdnAdded,
    DropPartial,
    Event,
    FetchFromCdn,
    PeerAnnounced,
    PeerJoined,
    PeerLeft,
    RequestFromPeer,
    ResourceCompleted,
    ResourceReleased,
    ResourceRequested,
    SegmentsListed,
    TransferEnded,
    TransferFailed,
    TransferProgressed,
    TransferStarted,
    WakeAt,
)
from ..mixing import share
from ..model import ResourceKey
from ..windows import Timeline

__all__ = ["BestScore", "CheapestCdn", "HlsJs", "OneCdn", "P2pMediaLoader", "RoundRobin"]

_S = 1_000_000
_WAIT_US = 10 * _S
_AGAIN_US = 1 * _S  # between two tries of one CDN (hls.js, errorRetry.retryDelayMs)


class _Running:
    def __init__(self, number: int, key: ResourceKey, source: str, *, is_peer: bool, now_us: int) -> None:
        self.number = number
        self.key = key
        self.source = source
        self.is_peer = is_peer
        self.started_us = self.heard_us = now_us
        self.byte_count = 0
        self.has_answered = False


class _Reference:
    """What they share: running transfers, silence, and waking."""

    verifies = False

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.cdns: dict[str, float] = {}  # weights
        self.prices: dict[str, float] = {}
        self.running: dict[int, _Running] = {}
        self.held: dict[ResourceKey, None] = {}
        self.count = 0
        self.actions: list[Action] = []

    def handle(self, event: Event, now_us: int) -> list[Action]:
        """As `Policy.handle`."""
        match event:
            case CdnAdded():
                self.cdns[event.cdn] = event.weight
                self.prices[event.cdn] = event.price_per_gb
            case TransferStarted():
                self._heard(event.transfer, 0, now_us)
            case TransferProgressed():
                self._heard(event.transfer, event.byte_count, now_us)
            case TransferEnded():
                running = self.running.pop(event.transfer)
                self.held[running.key] = None
                self._ended(running, now_us)
            case TransferFailed():
                running = self.running.pop(event.transfer)
                self.actions.append(DropPartial(running.key))
                self._failed(running, now_us)
            case ResourceCompleted():
                self.held[event.key] = None
                self._completed(event.key, now_us)
            case _:
                self._take_in(event, now_us)
        self._act(now_us)
        wake_us = self._wake_us(now_us)
        if wake_us is not None:
            self.actions.append(WakeAt(max(now_us + 1_000, wake_us)))
        actions, self.actions = self.actions, []
        return actions

    def fetch(self, key: ResourceKey, cdn: str, now_us: int) -> None:
        self.count += 1
        self.running[self.count] = _Running(self.count, key, cdn, is_peer=False, now_us=now_us)
        self.actions.append(FetchFromCdn(self.count, cdn, key, 0, None, None, "start"))

    def ask(self, key: ResourceKey, peer: str, now_us: int) -> None:
        self.count += 1
        self.running[self.count] = _Running(self.count, key, peer, is_peer=True, now_us=now_us)
        self.actions.append(RequestFromPeer(self.count, peer, key, 0, "start"))

    def cancel(self, running: _Running, reason: str) -> None:
        del self.running[running.number]
        self.actions += [CancelTransfer(running.number, reason), DropPartial(running.key)]

    def by_price(self) -> list[str]:
        """The cheapest first; of equals in the order in which they are named."""
        return sorted(self.cdns, key=lambda name: self.prices[name])

    def of(self, key: ResourceKey) -> _Running | None:
        return next((one for one in self.running.values() if one.key == key), None)

    def _heard(self, number: int, byte_count: int, now_us: int) -> None:
        running = self.running.get(number)
        if running is not None:
            running.heard_us = now_us
            running.byte_count += byte_count
            running.has_answered = True

    def _ended(self, running: _Running, now_us: int) -> None: ...

    def _failed(self, running: _Running, now_us: int) -> None: ...

    def _completed(self, key: ResourceKey, now_us: int) -> None: ...

    def _take_in(self, event: Event, now_us: int) -> None: ...

    def _act(self, now_us: int) -> None: ...

    def _wake_us(self, now_us: int) -> int | None:
        return None


class OneCdn(_Reference):
    """The player's order, one CDN; another only after a failure."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._wanted: ResourceKey | None = None
        self._tries = 0
        self._not_before_us = 0

    def order(self) -> list[str]:
        """Whom to ask after whom."""
        return list(self.cdns)

    def choose(self, now_us: int) -> str:
        """Whom to ask first."""
        return self.order()[0]

    def _take_in(self, event: Event, now_us: int) -> None:
        if isinstance(event, ResourceRequested) and event.key not in self.held:
            self._wanted, self._tries, self._not_before_us = event.key, 0, now_us
        elif isinstance(event, ResourceReleased):
            self._wanted = None
            for running in list(self.running.values()):
                self.cancel(running, "released")

    def _completed(self, key: ResourceKey, now_us: int) -> None:
        if key == self._wanted:
            self._wanted = None

    def _failed(self, running: _Running, now_us: int) -> None:
        self._tries += 1
        # The first round of CDNs at once, then with a pause.
        self._not_before_us = now_us + (0 if self._tries < len(self.cdns) else _AGAIN_US)

    def _act(self, now_us: int) -> None:
        for running in list(self.running.values()):
            if now_us - running.heard_us >= _WAIT_US:
                self.cancel(running, "stalled")
                self._failed(running, now_us)
        if self._wanted in self.held:
            self._wanted = None
        if self._wanted is not None and not self.running and now_us >= self._not_before_us:
            names = self.order()
            first = names.index(self.choose(now_us))
            self.fetch(self._wanted, names[(first + self._tries) % len(names)], now_us)

    def _wake_us(self, now_us: int) -> int | None:
        if self.running:
            return min(running.heard_us for running in self.running.values()) + _WAIT_US
        return self._not_before_us if self._wanted is not None else None


class CheapestCdn(OneCdn):
    def order(self) -> list[str]:
        return self.by_price()


class RoundRobin(OneCdn):
    def choose(self, now_us: int) -> str:
        return list(self.cdns)[(self._wanted.number if self._wanted is not None else 0) % len(self.cdns)]


class BestScore(OneCdn):
    """Weight x mean throughput of the last transfers, for the price; each CDN is tried once first."""

    _KEEP = 0.7

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._rates: dict[str, float] = {}

    def choose(self, now_us: int) -> str:
        for name in self.cdns:
            if name not in self._rates:
                return name
        return max(self.cdns, key=self._score)

    def _score(self, name: str) -> float:
        return self.cdns[name] * self._rates[name] / (self.prices[name] or 1.0)  # without prices all cost the same

    def _ended(self, running: _Running, now_us: int) -> None:
        rate = running.byte_count * 1_000_000 / max(1, now_us - running.started_us)
        known = self._rates.get(running.source, rate)
        self._rates[running.source] = self._KEEP * known + (1.0 - self._KEEP) * rate

    def _failed(self, running: _Running, now_us: int) -> None:
        super()._failed(running, now_us)
        self._rates[running.source] = self._rates.get(running.source, 0.0) / 2


class HlsJs(_Reference):
    """hls.js 1.7: its `fragLoadPolicy` by default, on the pathway that comes first.

    Six more tries after an error, 1, 2, 4 and then 8 s apart; four more at once after 10 s
    without headers, or 120 s of loading.  Then the pathway is penalised for 300 s and the
    next one is asked, from byte 0.
    """

    _FIRST_BYTE_US = 10 * _S
    _LOAD_US = 120 * _S
    _TIMEOUTS_MAX = 4
    _ERRORS_MAX = 6
    _DELAY_US_MAX = 8 * _S
    _PENALTY_US = 300 * _S

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._wanted: ResourceKey | None = None
        self._errors = self._timeouts = 0
        self._not_before_us = 0
        self._penalised_us: dict[str, int] = {}

    def _take_in(self, event: Event, now_us: int) -> None:
        if isinstance(event, ResourceRequested) and event.key not in self.held:
            self._wanted, self._errors, self._timeouts, self._not_before_us = event.key, 0, 0, now_us
        elif isinstance(event, ResourceReleased):
            self._wanted = None
            for running in list(self.running.values()):
                self.cancel(running, "released")

    def _completed(self, key: ResourceKey, now_us: int) -> None:
        if key == self._wanted:
            self._wanted = None

    def _failed(self, running: _Running, now_us: int) -> None:
        self._not_before_us = now_us + min(_AGAIN_US << self._errors, self._DELAY_US_MAX)
        self._errors += 1
        if self._errors > self._ERRORS_MAX:
            self._leave(running.source, now_us)

    def _leave(self, cdn: str, now_us: int) -> None:
        self._penalised_us[cdn] = now_us + self._PENALTY_US
        self._errors = self._timeouts = 0
        self._not_before_us = now_us

    def _deadline_us(self, running: _Running) -> int:
        return running.started_us + (self._LOAD_US if running.has_answered else self._FIRST_BYTE_US)

    def _act(self, now_us: int) -> None:
        for running in list(self.running.values()):
            if now_us >= self._deadline_us(running):
                self.cancel(running, "stalled")
                self._timeouts += 1
                self._not_before_us = now_us
                if self._timeouts > self._TIMEOUTS_MAX:
                    self._leave(running.source, now_us)
        if self._wanted in self.held:  # its last byte came; that it is complete is told next
            self._wanted = None
        if self._wanted is not None and not self.running and now_us >= self._not_before_us:
            free = [name for name in self.by_price() if self._penalised_us.get(name, 0) <= now_us]
            self.fetch(self._wanted, (free or self.by_price())[0], now_us)

    def _wake_us(self, now_us: int) -> int | None:
        if self.running:
            return min(self._deadline_us(running) for running in self.running.values())
        return self._not_before_us if self._wanted is not None else None


class P2pMediaLoader(_Reference):
    """The hybrid loader of 2.3.1 with its defaults.

    Within 15 s of the playhead HTTP first, and peers where both HTTP places are taken;
    a transfer from a peer that enters that window is switched to HTTP.  Beyond, peers
    only, and from time to time one segment at random by HTTP that no connected peer has.
    """

    _HIGH_US = 15 * _S
    _HTTP_WINDOW_US = 3_000 * _S
    _HTTP_MAX = 2
    _P2P_MAX = 3
    _HTTP_SILENCE_US = 3 * _S
    _P2P_SILENCE_US = 2 * _S
    _RANDOM_US = 1 * _S  # and as much again, by chance, for each connected peer

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._timelines: dict[int, Timeline] = {}
        self._peers: dict[str, tuple[int, frozenset[int], frozenset[int]]] = {}
        self._current: int | None = None
        self._first_us = 0  # media time asked for first, or after a seek
        self._random_us = 0
        self._draws = 0

    def _take_in(self, event: Event, now_us: int) -> None:
        match event:
            case SegmentsListed():
                timeline = self._timelines.setdefault(event.rendition, Timeline(BalancerConfig()))
                timeline.replace(event.segments, is_live=event.is_live)
            case ResourceRequested():
                self._requested(event.key, now_us)
            case PeerJoined():
                self._peers[event.peer] = (event.rendition, frozenset(), frozenset())
                if len(self._peers) == 1:
                    self._plan_random(now_us)
            case PeerAnnounced():
                if event.peer in self._peers:
                    self._peers[event.peer] = (self._peers[event.peer][0], event.held, event.fetching)
            case PeerLeft():
                self._peers.pop(event.peer, None)
            case _:
                pass

    def _requested(self, key: ResourceKey, now_us: int) -> None:
        timeline = self._timelines[key.rendition]
        self._current = key.rendition
        timeline.requested(key, now_us)
        segment = timeline.find(key)
        if segment is not None and timeline.origin_us is None:
            self._first_us = segment.start_us
        if key in self.held:
            timeline.delivered(key, now_us)

    def _completed(self, key: ResourceKey, now_us: int) -> None:
        timeline = self._timelines[key.rendition]
        if timeline.newest is not None and timeline.newest.key == key:
            timeline.delivered(key, now_us)

    def _queue(self, now_us: int) -> Iterable[tuple[ResourceKey, int]]:
        """Segments from the playhead on that are not held, with their distance from it."""
        if self._current is None:
            return
        timeline = self._timelines[self._current]
        head_us = self._first_us if timeline.origin_us is None else now_us - timeline.origin_us
        for segment in timeline.segments:
            if segment.start_us + segment.duration_us > head_us and segment.key not in self.held:
                yield segment.key, segment.start_us - head_us

    def _holders(self, key: ResourceKey) -> list[str]:
        busy = [one.source for one in self.running.values() if one.is_peer]
        return [
            name
            for name, (rendition, held, _) in self._peers.items()
            if rendition == key.rendition and key.number in held and name not in busy
        ]

    def _act(self, now_us: int) -> None:
        for one in list(self.running.values()):
            limit_us = self._P2P_SILENCE_US if one.is_peer else self._HTTP_SILENCE_US
            if now_us - one.heard_us >= limit_us:
                self.cancel(one, "stalled")
        http = sum(not one.is_peer for one in self.running.values())
        p2p = len(self.running) - http
        for key, distance_us in self._queue(now_us):
            running = self.of(key)
            if running is not None and not (running.is_peer and distance_us < self._HIGH_US):
                continue
            if distance_us < self._HIGH_US and http < self._HTTP_MAX:
                if running is not None:
                    self.cancel(running, "switched")
                    p2p -= 1
                self._fetch_anywhere(key, now_us)
                http += 1
            elif running is None and p2p < self._P2P_MAX:
                holders = self._holders(key)
                if holders:
                    self.ask(key, self._pick(holders), now_us)
                    p2p += 1
        if self._peers and now_us >= self._random_us:
            self._plan_random(now_us)
            if http < self._HTTP_MAX:
                self._random_prefetch(now_us)

    def _random_prefetch(self, now_us: int) -> None:
        queue = [
            key
            for key, distance_us in self._queue(now_us)
            if distance_us < self._HTTP_WINDOW_US
            and self.of(key) is None
            and not any(r == key.rendition and key.number in held for r, held, _ in self._peers.values())
        ]
        if queue:
            among = min(len(queue), self._HTTP_MAX * (len(self._peers) + 1))
            self._fetch_anywhere(queue[int(self._draw() * among)], now_us)

    def _fetch_anywhere(self, key: ResourceKey, now_us: int) -> None:
        self.fetch(key, self.by_price()[0], now_us)  # it knows one address of a segment

    def _plan_random(self, now_us: int) -> None:
        self._random_us = now_us + self._RANDOM_US + int(self._draw() * self._RANDOM_US * len(self._peers))

    def _pick(self, names: list[str]) -> str:
        return names[int(self._draw() * len(names))]

    def _draw(self) -> float:
        self._draws += 1
        return share(self.seed, self._draws)

    def _wake_us(self, now_us: int) -> int | None:
        times = [
            one.heard_us + (self._P2P_SILENCE_US if one.is_peer else self._HTTP_SILENCE_US)
            for one in self.running.values()
        ]
        times += [now_us + distance_us - self._HIGH_US for _, distance_us in self._queue(now_us)][:20]
        if self._peers:
            times.append(self._random_us)
        later = [time_us for time_us in times if time_us > now_us]
        return min(later, default=None)
