"""Which source to ask for one resource, given what all of them look like now.

Reads the sources and changes nothing; starting the transfer is the policy's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from .availability import Availability
from .cdn_choice import LINE_HOPE, Cdn, best_cdn, cheaper_again_us
from .config import BalancerConfig
from .integrity import BLOCK_BYTES
from .line import Line
from .model import Kind
from .peer_choice import InTime, Peer, best_peer
from .reputation import Reputation
from .stripes import PEERS_MAX
from .transfers import Mark, Transfer, Want
from .windows import Timeline

__all__ = ["Choice", "Selection"]

_OF_THE_LINE = frozenset(("stalled", "slow", "raced"))  # reasons for which a source is left that may be well

_ROUNDS = 3  # of asking a peer for a range, while one segment comes from several

_LINE_HOPE_UNKNOWN = (
    2.5  # instead of LINE_HOPE for one that was not measured lately: perhaps it is not the line that is slow
)


class Choice(msgspec.Struct):
    """A source; or when to look again; or neither, when no source is left."""

    source: Cdn | Peer | None = None
    why: str = "start"
    again_us: int | None = None
    beside: tuple[Peer, ...] = ()  # peers that are to bring ranges of it as well


class Selection:
    __slots__ = (
        "_availability",
        "_busy_bytes",
        "_busy_us",
        "_cdns",
        "_config",
        "_first_byte_us",
        "_greeted",
        "_half_life_us",
        "_in_time",
        "_is_any",
        "_is_busy",
        "_is_shared",
        "_known_bytes",
        "_line",
        "_peers",
        "_rate",
        "_reputation",
        "_seed",
        "peers_priority",
        "soonest_spread",
        "soonest_us",
    )

    def __init__(
        self,
        config: BalancerConfig,
        *,
        seed: int,
        cdns: dict[str, Cdn],
        peers: dict[str, Peer],
        availability: Availability,
        reputation: Reputation,
        line: Line,
        is_shared: Callable[[Want, Timeline | None], bool],
    ) -> None:
        """All of them are looked at, never kept a copy of; `is_shared` says whether peers may be asked."""
        self._config = config
        self._seed = seed
        self._cdns = cdns
        self._peers = peers
        self._availability = availability
        self._reputation = reputation
        self._line = line
        self._is_shared = is_shared
        self.peers_priority = 0  # CDNs of a lower one come before peers
        # What was found for the last size: the segments of a rendition are mostly guessed to be alike.
        self._known_bytes = -1  # none
        self._is_any = False
        self.soonest_us = 0
        self.soonest_spread = 0.0
        self._busy_bytes = self._busy_us = -1
        self._is_busy = False
        self._greeted: int | None = None  # how many peers are ours
        self._in_time = InTime(config)
        # Of the config, as each estimate needs them.
        self._rate: float = config.unmeasured_bytes_per_s
        self._first_byte_us: float = config.unmeasured_first_byte_us
        self._half_life_us = config.estimate_half_life_us

    def urgent(  # noqa: PLR0917, a C method has no keyword-only arguments
        self,
        want: Want,
        timeline: Timeline | None,
        size_bytes: int,
        slack_us: int | None,
        now_us: int,
        is_busy: bool = False,
    ) -> Choice:
        """For somebody who waits; `slack_us` is the time until it plays, None while nothing plays.

        On a busy line a peer must be about as fast as a CDN: what the line could have
        carried meanwhile is missing later.
        """
        if slack_us is not None and not want.suspects:
            limit_us = slack_us - self._config.peer_margin_us
            expected = self.expected(size_bytes, now_us, None) if is_busy else None
            if expected is not None:
                limit_us = min(limit_us, int(expected[0] / self._config.move_gain))
            measured = [
                one
                for one in self._ready_peers(want, timeline, now_us)
                if not one[1] and one[0].estimate.sampled_us is not None
            ]
            in_time = self._in_time.within(size_bytes, limit_us, now_us, False)
            peer = best_peer(measured, want.key.number, self._seed, in_time)
            if peer is not None:
                return Choice(peer, "offload")
            peers = () if is_busy else self.together(want, timeline, size_bytes, limit_us, now_us)
            if peers:
                return Choice(peers[0], "offload", beside=peers[1:])
        if (want.marks or want.suspects) and self.have_all_failed(want, now_us):
            # However little is known of a peer that has not: these have left somebody waiting for this very resource.
            ready = [one for one in self._ready_peers(want, timeline, now_us) if one[0].label not in want.marks]
            peer = best_peer(ready, want.key.number, self._seed)
            if peer is not None:
                return Choice(peer, "offload")
            if _was_lied_to(want) and self._may_hope(want, timeline, now_us):
                return Choice(again_us=now_us + self._config.retry_backoff_us)  # these would lie again
        found = self.ready_cdn(want, timeline, size_bytes, slack_us, now_us)
        if found is not None:
            return Choice(found[0], "explore" if found[1] else "start")
        peer = best_peer(self._ready_peers(want, timeline, now_us), want.key.number, self._seed)
        if peer is not None:
            return Choice(peer, "offload")
        return self._last_resort(want, timeline, now_us)

    def ready_cdn(
        self, want: Want, timeline: Timeline | None, size_bytes: int, slack_us: int | None, now_us: int
    ) -> tuple[Cdn, bool] | None:
        """The best CDN that may be asked now, and whether that is to measure it."""
        ready = self._ready_cdns(want, now_us)
        segment = None if timeline is None else timeline.listed(want.key)
        duration_us = 0 if segment is None else segment.duration_us
        may_explore = slack_us is not None and slack_us >= self._config.explore_slack_us
        found = best_cdn(
            ready,
            size_bytes,
            may_explore=may_explore,
            fails_over=want.fails_over,
            now_us=now_us,
            seed=self._seed,
            config=self._config,
            slack_us=slack_us,
            line_bytes_per_s=self._line.bytes_per_s,
            duration_us=duration_us,
        )
        if found is None or segment is None or want.key.kind is not Kind.PART:
            return found
        return self._who_keeps_up(found[0], ready, size_bytes, duration_us, now_us), found[1]

    def cheaper_again_us(self, chosen: Cdn, want: Want, now_us: int) -> int | None:
        """When a cheaper CDN than the chosen may be asked for it again; None: there is none that was well before."""
        return cheaper_again_us(self._cdns.values(), chosen, want, now_us, self._config)

    def _who_keeps_up(self, best: Cdn, ready: Sequence[Cdn], size_bytes: int, duration_us: int, now_us: int) -> Cdn:
        """The best; but if it brings parts more slowly than they play, one that does not, or that may do better now.

        A player asks for one part after another.  With such a source it falls behind for ever, while each part is
        so little late that nothing is gained by moving it.
        """

        def is_behind(cdn: Cdn) -> bool:
            first_us, rate = cdn.estimate.first_byte_us, cdn.estimate.bytes_per_s
            if first_us is None or rate is None or cdn.is_unknown(now_us, self._config):
                return False
            return first_us + size_bytes * 1_000_000 / max(1.0, rate) > duration_us

        if not is_behind(best):
            return best
        others = [cdn for cdn in ready if cdn.weight > 0 and not is_behind(cdn)]
        return max(others, key=lambda cdn: cdn.score(size_bytes, now_us, self._config), default=best)

    def _most(self, is_unknown: bool = False) -> float | None:
        """What no source is believed to exceed: a little more than the line has carried lately."""
        line = self._line.bytes_per_s
        return None if line is None else (_LINE_HOPE_UNKNOWN if is_unknown else LINE_HOPE) * line

    def prefetch_peer(  # noqa: PLR0917, a C method has no keyword-only arguments
        self, want: Want, timeline: Timeline, size_bytes: int, now_us: int, slack_us: int | None, safe_us: int
    ) -> Peer | None:
        """A peer that should be in time; an unmeasured one only while a CDN could still be asked afterwards.

        `safe_us` is how long before the deadline a CDN must be asked.
        """
        if want.suspects:
            return None
        ready = self._ready_peers(want, timeline, now_us)
        if not ready or slack_us is None:
            return best_peer(ready, want.key.number, self._seed)
        left_us, margin_us = slack_us, self._config.peer_margin_us
        limit_us = left_us - min(margin_us, safe_us)
        in_time = self._in_time.within(size_bytes, limit_us, now_us, left_us >= safe_us)
        return best_peer(ready, want.key.number, self._seed, in_time)

    def together(
        self, want: Want, timeline: Timeline | None, size_bytes: int, limit_us: int, now_us: int
    ) -> tuple[Peer, ...]:
        """The fewest peers of ours that bring it within `limit_us` if each sends a part; none if all do not.

        Measured ones alone.  Each range costs a round trip, of which there are some for each peer.
        """
        if self._greeted is None:
            self._greeted = sum([peer.is_greeted for peer in self._peers.values()])
        if self._greeted < 2 or size_bytes < 2 * BLOCK_BYTES:
            return ()
        return self._together(want, timeline, size_bytes, limit_us, now_us)

    def _together(
        self, want: Want, timeline: Timeline | None, size_bytes: int, limit_us: int, now_us: int
    ) -> tuple[Peer, ...]:
        ready = [
            peer
            for peer, on_probation in self._ready_peers(want, timeline, now_us)
            if peer.is_greeted and not on_probation and peer.estimate.bytes_per_s
        ]
        ready.sort(key=lambda peer: (-(peer.estimate.bytes_per_s or 0.0), peer.last_used))
        most, rate, round_us = self._most(), 0.0, 0.0
        for count, peer in enumerate(ready[:PEERS_MAX], 1):
            rate += peer.estimate.bytes_per_s or 0.0
            round_us = max(round_us, peer.estimate.first_byte_us or self._config.unmeasured_first_byte_us)
            believed = rate if most is None else min(rate, most)
            if count > 1 and _ROUNDS * round_us + size_bytes * 1_000_000 / max(1.0, believed) <= limit_us:
                return tuple(ready[:count])
        return ()

    def expected(self, size_bytes: int, now_us: int, line_bytes_per_s: float | None) -> tuple[int, float] | None:
        """What the soonest CDN with a closed circuit needs, and its spread; None if there is none."""
        if not self.find_soonest(size_bytes, now_us):
            return None
        return max(self.soonest_us, _line_us(size_bytes, line_bytes_per_s)), self.soonest_spread

    def expected_us(self, size_bytes: int, now_us: int, line_bytes_per_s: float | None) -> int:
        """The same without its spread; -1 if there is none."""
        if not self.find_soonest(size_bytes, now_us):
            return -1
        return max(self.soonest_us, _line_us(size_bytes, line_bytes_per_s))

    def is_line_busy(self, size_bytes: int, duration_us: int, now_us: int) -> bool:
        """Whether so many bytes of so much media keep the viewer's line busy for most of the time."""
        if size_bytes != self._busy_bytes or duration_us != self._busy_us:
            self._busy_bytes, self._busy_us = size_bytes, duration_us
            expected_us = self.expected_us(size_bytes, now_us, self._line.sure_bytes_per_s)
            self._is_busy = expected_us >= 0 and expected_us > self._config.busy_share * duration_us
        return self._is_busy

    def look_anew(self) -> None:
        """Time has passed, or a source's figures have changed."""
        self._known_bytes = self._busy_bytes = -1
        self._greeted = None

    def find_soonest(self, size_bytes: int, now_us: int) -> bool:
        """Whether there is a CDN with a closed circuit; what the soonest needs is then in `soonest_us`."""
        if size_bytes == self._known_bytes:
            return self._is_any
        self._known_bytes = size_bytes
        soonest: Cdn | None = None
        for cdn in self._cdns.values():
            if not cdn.is_used or cdn.circuit.is_broken:
                continue
            expected_us = cdn.estimate.expected_us(
                size_bytes, now_us, self._rate, self._first_byte_us, self._half_life_us
            )
            if soonest is None or expected_us < self.soonest_us:  # of equals the one that was added first
                soonest, self.soonest_us = cdn, expected_us
        self._is_any = soonest is not None
        if soonest is not None:
            self.soonest_spread = soonest.estimate.spread
        return self._is_any

    def alternative(
        self,
        want: Want,
        timeline: Timeline | None,
        transfer: Transfer,
        size_bytes: int,
        now_us: int,
        *,
        any_peer: bool,
        is_hopeful: bool,
        enough_us: int = 0,
    ) -> tuple[int, Cdn | Peer] | None:
        """The other source that would be done soonest, and how soon; None if there is no other.

        Of those that would be done within `enough_us`, peers with all their usual lateness, it is the cheapest.
        A broken circuit counts as what it costs if the CDN still fails.  `is_hopeful`:
        it is worth a try whether it is the CDN or the line that is slow.
        """
        found: list[tuple[int, Cdn | Peer]] = []
        if want.marks and not any_peer:
            any_peer = self.have_all_failed(want, now_us, transfer.label)
        for cdn in self._ready_cdns(want, now_us):
            if cdn.label != transfer.label:
                most = self._most(is_unknown=is_hopeful and cdn.is_unknown(now_us, self._config))
                risk_us = self._config.first_byte_limit_us if cdn.circuit.is_broken else 0
                found.append((cdn.expected_us(size_bytes, now_us, self._config, most) + risk_us, cdn))
        found += [
            (peer.expected_us(size_bytes, now_us, self._config), peer)
            for peer, _ in self._ready_peers(want, timeline, now_us, transfer.label)
            if any_peer or peer.estimate.bytes_per_s is not None
        ]
        if not any_peer and not transfer.is_peer:
            # Nobody would be in time: a CDN brings what the line carries once it is well, a peer what its own does.
            found = [one for one in found if one[0] <= enough_us or isinstance(one[1], Cdn)]

        def order(one: tuple[int, Cdn | Peer]) -> tuple[bool, float, int]:
            needed_us, source = one
            # A peer's line is shared by whoever asks it next; near the deadline a free source that is late is none.
            sure_us = needed_us * (1.0 + source.estimate.spread) if isinstance(source, Peer) else needed_us
            is_enough = sure_us <= enough_us
            return (not is_enough, source.price if is_enough and isinstance(source, Cdn) else 0.0, needed_us)

        return min(found, key=order, default=None)

    def have_all_failed(self, want: Want, now_us: int, but: str = "") -> bool:
        """Whether each CDN that may be asked now, but for this one, has failed with it, was left, or may have lied."""
        is_peer_known = any(peer.estimate.sampled_us is not None for peer in self._peers.values())
        for cdn in self._cdns.values():
            if cdn.label == but or cdn.label in want.suspects:
                continue
            mark = want.marks.get(cdn.label)
            if mark is not None and (not is_peer_known or _has_failed(mark)):
                continue
            if cdn.ready_us(want, now_us) == now_us:
                return False
        return True

    def may_share(self, want: Want, timeline: Timeline | None, now_us: int, but: str = "") -> bool:
        """Whether peers may be asked for it now.

        Not while a CDN that comes before them can be, has not failed with it, and is not to be left, as `but` is.
        """
        if self.peers_priority:
            for cdn in self._cdns.values():
                if cdn.priority >= self.peers_priority or cdn.label == but or cdn.label in want.marks:
                    continue
                if cdn.ready_us(want, now_us) == now_us:
                    return False
        return self._is_shared(want, timeline)

    def _ready_cdns(self, want: Want, now_us: int) -> list[Cdn]:
        """CDNs that may be asked now; suspects of a wrong block only if there are no others."""
        ready = [cdn for cdn in self._cdns.values() if cdn.ready_us(want, now_us) == now_us]
        return [cdn for cdn in ready if cdn.label not in want.suspects] or ready

    def _ready_peers(
        self, want: Want, timeline: Timeline | None, now_us: int, but: str = ""
    ) -> list[tuple[Peer, bool]]:
        """Peers that hold it and may be asked now, each with whether it is on probation; `but` as in `may_share`."""
        ready: list[tuple[Peer, bool]] = []
        if not self.may_share(want, timeline, now_us, but):
            return ready
        is_clean = self._reputation.is_clean
        segment = None if timeline is None else timeline.find(want.key)
        is_audited = segment is not None and segment.is_audited
        on_probation = False
        for name in self._availability.holders(want.key.rendition, want.key.number):
            peer = self._peers[name]
            if peer.transfer is not None:
                continue
            if not is_clean:
                on_probation = self._reputation.is_on_probation(peer.address)
            if peer.is_ready(want, now_us, on_probation or (is_audited and not peer.was_right)):
                ready.append((peer, on_probation))
        return ready

    def _may_hope(self, want: Want, timeline: Timeline | None, now_us: int) -> bool:
        """Whether a peer may have it soon: there are some, and nobody has waited long."""
        if now_us - want.urgent_since_us >= self._config.hold_us_max or not self._is_shared(want, timeline):
            return False
        return any(peer.rendition == want.key.rendition for peer in self._peers.values())

    def _last_resort(self, want: Want, timeline: Timeline | None, now_us: int) -> Choice:
        """Nothing is ready: wait a little, or pass over the circuit breakers; what said Retry-After is left alone."""
        waiting = [(cdn.ready_us(want, now_us), cdn) for cdn in self._cdns.values()]
        times = [ready_us for ready_us, _ in waiting if ready_us is not None]
        if times and min(times) <= now_us + self._config.retry_backoff_us:
            return Choice(again_us=min(times))
        closed = [(cdn.ready_us(want, now_us, last_resort=True), cdn) for cdn in self._cdns.values()]
        soonest = min(
            ((ready_us, cdn.place, cdn) for ready_us, cdn in closed if ready_us is not None),
            key=lambda found: found[:2],
            default=None,
        )
        if soonest is not None:
            return Choice(soonest[2]) if soonest[0] == now_us else Choice(again_us=soonest[0])
        if self._is_shared(want, timeline):
            for name in self._availability.holders(want.key.rendition, want.key.number):
                if self._peers[name].may_serve(want):  # busy or cooling down
                    return Choice(again_us=now_us + self._config.retry_backoff_us)
        if self._may_hope(want, timeline, now_us):
            return Choice(again_us=now_us + self._config.retry_backoff_us)
        return Choice()


def _has_failed(mark: Mark) -> bool:
    """Whether it is the source that failed: silence or slowness may have been the viewer's line.

    Twice it hardly was.  To go to peers after the first time, whose lines are slow as well, cost viewers on recorded
    lines that come and go (Puffer) half as much waiting again.  But where no peer was ever measured one is tried.
    """
    return mark.count > 1 or not mark.reasons.keys() <= _OF_THE_LINE


def _was_lied_to(want: Want) -> bool:
    return bool(want.suspects) or any("hash" in mark.reasons for mark in want.marks.values())


def _line_us(size_bytes: int, line_bytes_per_s: float | None) -> int:
    """The least that so many bytes take on the viewer's line; 0 while it is not measured."""
    if line_bytes_per_s is None:
        return 0
    rate = max(1.0, line_bytes_per_s)
    return int(size_bytes * 1_000_000 / rate)
