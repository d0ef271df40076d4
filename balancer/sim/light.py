"""A crowd too large for viewer.py: its viewers follow a live stream by a few rules, each segment in one piece.

    light(scenario) -> Outcome     honest viewers who stay, one rendition, one CDN without faults

It answers what a swarm of 100,000 asks of a CDN: how much comes from peers, and how much at once.  How near that is to
what the policy itself comes to is measured beside it (`benchmarks/scale.py --light`).

The rules are those of docs/design/decision.md, with what the scenario says of lines in place of what a viewer would
have measured:

    a peer     who was asked longest ago, if there is time for it and the CDN; at the last safe moment the CDN
               brings the rest, and who was so slow is not asked for a while, twice as long each time
    the CDN    when it is this viewer's turn to bring in what no neighbour holds or fetches, or at the last safe moment
               (spread.py); at once for who has nothing to play
    wait       until either comes, or a neighbour has got it

A line carries one segment after another, where transfers of the full model share it, and nothing is lost.
"""

from __future__ import annotations

from ..availability import Availability
from ..config import BalancerConfig
from ..errors import ConfigurationError
from ..mixing import mix_three, share
from ..spread import Spread
from .agenda import Agenda
from .members import Members
from .outcome import Outcome, ViewerOutcome
from .scenario import Behaviour, Scenario, ViewerSpec

__all__ = ["light"]

_LIVE_LAG = 3  # segments behind the newest, as viewer.py
_PART_OF_PLAYLIST_RTTS = 4  # as viewer.py
_CONNECT_RTTS = 3  # as transfer.py; once
_RING = 60  # numbers that one integer tells apart: a live playlist names far fewer
_BITS = [1 << place for place in range(_RING)]
_DOUBLINGS_MAX = 16
_LATENESS = 0.1  # root mean square of how much later than its line says a transfer ends; assumed: lines are steady


class _Want:
    """A segment that a viewer has no source for yet."""

    __slots__ = ("armed_us", "is_asked", "number", "seen_us", "turn_us")

    def __init__(self, number: int, now_us: int) -> None:
        self.number = number
        self.seen_us = now_us
        self.turn_us = -1  # when it would be brought in; found when it is first asked
        self.armed_us = -1  # when it is looked at again at the latest
        self.is_asked = False  # of a peer that will not be in time


class _Neighbour:
    """What a viewer knows of another."""

    __slots__ = ("asked", "in_vain", "slow_until_us", "viewer")

    def __init__(self, viewer: _Viewer) -> None:
        self.viewer = viewer
        self.asked = 0  # a running number, the higher the later
        self.slow_until_us = 0
        self.in_vain = 0  # in a row


class _Viewer:
    __slots__ = (
        "arrives_us",
        "asked",
        "down_free_us",
        "dry_us",
        "fetching",
        "has_connected",
        "held",
        "needed",
        "neighbours",
        "next",
        "outcome",
        "place",
        "rtt_us",
        "safe_us",
        "send_us",
        "take_us",
        "up_free_us",
        "wants",
    )

    def __init__(self, place: int, spec: ViewerSpec, size_bytes: int, safe_us: int, length_us: int) -> None:
        """`safe_us`: how long before it plays the CDN must be asked for a segment."""
        self.place = place
        self.rtt_us = spec.rtt_us
        self.arrives_us = spec.arrives_us
        self.send_us = int(size_bytes * 1_000_000 / spec.up)  # one segment on its line up
        self.take_us = int(size_bytes * 1_000_000 / spec.down)
        self.up_free_us = self.down_free_us = 0
        self.safe_us = safe_us
        self.has_connected = False
        self.asked = 0  # how many requests of peers
        self.neighbours: list[_Neighbour] = []
        self.held = self.fetching = 0  # a bit for each number of the ring
        self.next = -1  # the number after the last that it saw in its playlist; before: it has not begun
        self.needed = 0  # the number that its player waits for, or will
        self.dry_us = -1  # when that will be; before: it has not played yet
        self.wants: dict[int, _Want] = {}
        self.outcome = ViewerOutcome(viewer=place, present_us=spec.present_us(length_us))


class _World:
    __slots__ = (
        "_agenda",
        "_cdn_free_us",
        "_cdn_rtt_us",
        "_cdn_us",
        "_config",
        "_event_count",
        "_members",
        "_now_us",
        "_peaks",
        "_retry_us",
        "_scenario",
        "_segment_us",
        "_size_bytes",
        "_turn_us",
        "_viewers",
    )

    def __init__(self, scenario: Scenario, config: BalancerConfig) -> None:
        self._scenario = scenario
        self._config = config
        self._agenda = Agenda()
        self._now_us = 0
        self._event_count = 0
        self._members: Members[_Viewer] = Members()
        self._peaks: dict[int, int] = {}
        self._segment_us = scenario.stream.duration_us
        self._size_bytes = scenario.stream.size_bytes(0)
        self._turn_us = config.spread_turn_us
        self._retry_us = config.retry_peer_us
        cdn = scenario.cdns[0]
        self._cdn_rtt_us = cdn.rtt_us
        self._cdn_us = self._size_bytes * 1_000_000 / cdn.capacity  # one segment on the CDN's line
        self._cdn_free_us = 0.0
        self._viewers: list[_Viewer] = []
        spread = Spread(config, 0, Availability())
        for place, spec in enumerate(scenario.viewers):
            expected_us = spec.rtt_us + cdn.rtt_us + self._size_bytes * 1_000_000 / spec.down
            safe_us = spread.safe_us(int(expected_us), _LATENESS)
            viewer = _Viewer(place, spec, self._size_bytes, safe_us, scenario.length_us)
            self._viewers.append(viewer)
            self._agenda.put(spec.arrives_us, self._arrive, (viewer,))

    def run(self) -> Outcome:
        agenda, end_us = self._agenda, self._scenario.length_us
        while agenda.take(end_us + 1):
            self._now_us = agenda.time_us
            self._event_count += 1
            agenda.callback(*agenda.arguments)
        self._now_us = end_us
        for viewer in self._viewers:
            self._finish(viewer)
        cdn = self._scenario.cdns[0]
        sent_bytes = sum([viewer.outcome.cdn_bytes for viewer in self._viewers])
        return Outcome(
            scenario=self._scenario.name,
            policy="light",
            seed=self._scenario.seed,
            viewers=[viewer.outcome for viewer in self._viewers],
            cdn_bytes={cdn.name: sent_bytes},
            cost=sent_bytes * cdn.price_per_gb / 1_000_000_000,
            cdn_peak_bytes_per_s=max(self._peaks.values(), default=0),
            events=self._event_count,
        )

    # --- coming

    def _arrive(self, viewer: _Viewer) -> None:
        wait_us = _PART_OF_PLAYLIST_RTTS * (viewer.rtt_us + self._cdn_rtt_us)
        self._agenda.put(self._now_us + wait_us, self._begin, (viewer,))
        phase_us = int(share(self._scenario.seed, viewer.place, 7) * self._segment_us / 2)
        first_us = (self._now_us // self._segment_us + 1) * self._segment_us + phase_us
        self._agenda.put(first_us, self._reload, (viewer,))

    def _begin(self, viewer: _Viewer) -> None:
        viewer.next = viewer.needed = max(0, self._available() - _LIVE_LAG)
        scenario, now_us = self._scenario, self._now_us
        if scenario.swarm:
            for other in self._members.some(scenario.neighbours, scenario.seed, viewer.place, 0):
                self._agenda.put(now_us + scenario.connect_us, self._connect, (viewer, other))
            self._members.join(viewer)
        self._look(viewer)

    def _connect(self, viewer: _Viewer, other: _Viewer) -> None:
        for known in viewer.neighbours:
            if known.viewer is other:
                return
        if len(other.neighbours) < 2 * self._scenario.neighbours:
            viewer.neighbours.append(_Neighbour(other))
            other.neighbours.append(_Neighbour(viewer))

    def _available(self) -> int:
        return self._scenario.stream.window + self._now_us // self._segment_us

    # --- what is wanted

    def _reload(self, viewer: _Viewer) -> None:
        self._agenda.put(self._now_us + self._segment_us, self._reload, (viewer,))
        if viewer.next >= 0:
            self._look(viewer)

    def _look(self, viewer: _Viewer) -> None:
        """What is new in the playlist is wanted from now on."""
        end = self._available()
        while viewer.next < end:
            want = viewer.wants[viewer.next] = _Want(viewer.next, self._now_us)
            viewer.next += 1
            viewer.outcome.requests += 1
            self._find(viewer, want)

    def _again(self, viewer: _Viewer, want: _Want) -> None:
        if want.number in viewer.wants and not want.is_asked:
            self._find(viewer, want)

    def _find(self, viewer: _Viewer, want: _Want) -> None:
        """Ask somebody for it, or look again when it is time."""
        now_us, bit = self._now_us, _BITS[want.number % _RING]
        plays_us = now_us
        if viewer.dry_us >= 0:
            plays_us = viewer.dry_us + (want.number - viewer.needed) * self._segment_us
        safe_us = plays_us - viewer.safe_us
        best, is_known = self._longest_ago(viewer, bit)
        if best is not None and now_us + viewer.rtt_us + best.viewer.rtt_us + best.viewer.send_us <= safe_us:
            self._from_peer(viewer, want, best, safe_us)
            return
        if not is_known:
            if want.turn_us < 0:
                want.turn_us = want.seen_us + self._rank(viewer, want.number) * self._turn_us
            safe_us = min(safe_us, want.turn_us)
        if now_us >= safe_us:
            self._from_cdn(viewer, want, 1.0)
        elif want.armed_us != safe_us:
            want.armed_us = safe_us
            self._agenda.put(safe_us, self._again, (viewer, want))

    def _longest_ago(self, viewer: _Viewer, bit: int) -> tuple[_Neighbour | None, bool]:
        """Which of those that hold it to ask, and whether any neighbour holds or fetches it."""
        best: _Neighbour | None = None
        is_known = False
        for known in viewer.neighbours:
            other = known.viewer
            if other.held & bit:
                is_known = True
                if known.slow_until_us <= self._now_us and (best is None or known.asked < best.asked):
                    best = known
            elif other.fetching & bit:
                is_known = True
        return best, is_known

    def _rank(self, viewer: _Viewer, number: int) -> int:
        """How many of the neighbours come before this viewer, by numbers that they all see alike."""
        seed, before = self._scenario.seed, 0
        mine = mix_three(viewer.place, seed, number)
        for known in viewer.neighbours:
            if mix_three(known.viewer.place, seed, number) < mine:
                before += 1
        return before

    def _from_peer(self, viewer: _Viewer, want: _Want, known: _Neighbour, safe_us: int) -> None:
        peer = known.viewer
        viewer.asked += 1
        known.asked = viewer.asked
        begins_us = max(self._now_us + viewer.rtt_us + peer.rtt_us, peer.up_free_us)
        ends_us = begins_us + peer.send_us
        if ends_us <= safe_us:
            known.in_vain = 0
            peer.up_free_us = ends_us
            del viewer.wants[want.number]
            viewer.down_free_us = max(viewer.down_free_us, self._now_us) + viewer.take_us
            self._agenda.put(max(ends_us, viewer.down_free_us), self._came, (viewer, want.number, peer, 1.0))
            return
        known.slow_until_us = self._now_us + (self._retry_us << min(known.in_vain, _DOUBLINGS_MAX))
        known.in_vain += 1
        part = max(0, safe_us - begins_us) / peer.send_us
        peer.up_free_us = max(peer.up_free_us, safe_us)
        want.is_asked = True
        self._agenda.put(safe_us, self._rescue, (viewer, want, peer, part))

    def _rescue(self, viewer: _Viewer, want: _Want, peer: _Viewer, part: float) -> None:
        """It would not be in time: the CDN brings the rest."""
        part_bytes = int(self._size_bytes * part)
        viewer.outcome.peer_bytes += part_bytes
        peer.outcome.sent_bytes += part_bytes
        self._from_cdn(viewer, want, 1.0 - part)

    def _from_cdn(self, viewer: _Viewer, want: _Want, part: float) -> None:
        """Bring it in, or what is left of it."""
        del viewer.wants[want.number]
        viewer.fetching |= _BITS[want.number % _RING]
        rtts = 1 if viewer.has_connected else _CONNECT_RTTS
        viewer.has_connected = True
        answers_us = self._now_us + rtts * (viewer.rtt_us + self._cdn_rtt_us)
        viewer.down_free_us = max(viewer.down_free_us, answers_us) + int(viewer.take_us * part)
        self._cdn_free_us = max(self._cdn_free_us, float(self._now_us)) + self._cdn_us * part
        ends_us = max(viewer.down_free_us, int(self._cdn_free_us))
        self._agenda.put(ends_us, self._came, (viewer, want.number, None, part))

    # --- what has come

    def _came(self, viewer: _Viewer, number: int, peer: _Viewer | None, part: float) -> None:
        bit, old = _BITS[number % _RING], _BITS[(number + _RING // 2) % _RING]
        viewer.held = (viewer.held | bit) & ~old
        viewer.fetching &= ~bit
        outcome = viewer.outcome
        if peer is None:
            byte_count = self._size_bytes - int(self._size_bytes * (1.0 - part))
            outcome.cdn_bytes += byte_count
            second = self._now_us // 1_000_000
            self._peaks[second] = self._peaks.get(second, 0) + byte_count
        else:
            outcome.peer_bytes += self._size_bytes
            peer.outcome.sent_bytes += self._size_bytes
        while viewer.needed < viewer.next and viewer.held & _BITS[viewer.needed % _RING]:
            self._deliver(viewer)
        for known in viewer.neighbours:
            other = known.viewer
            want = other.wants.get(number)
            if want is not None and not want.is_asked:
                way_us = self._config.announce_delay_us + (viewer.rtt_us + other.rtt_us) // 2
                self._agenda.put(self._now_us + way_us, self._again, (other, want))

    def _deliver(self, viewer: _Viewer) -> None:
        outcome, now_us = viewer.outcome, self._now_us
        viewer.needed += 1
        if viewer.dry_us < 0:
            outcome.startup_us = now_us - viewer.arrives_us
            viewer.dry_us = now_us
        elif now_us > viewer.dry_us:
            outcome.stalls += 1
            outcome.stall_us += now_us - viewer.dry_us
            viewer.dry_us = now_us
        viewer.dry_us += self._segment_us
        outcome.delivered_bytes += self._size_bytes
        outcome.media_us += self._segment_us
        outcome.bitrate_us += self._scenario.stream.bitrates[0] * self._segment_us

    def _finish(self, viewer: _Viewer) -> None:
        if viewer.dry_us >= 0:
            viewer.outcome.stall_us += max(0, self._now_us - viewer.dry_us)
            viewer.outcome.played_us = viewer.outcome.media_us - max(0, viewer.dry_us - self._now_us)


def light(scenario: Scenario, config: BalancerConfig | None = None) -> Outcome:
    """Play it by the rules of above.  ConfigurationError names what of the scenario it does not know."""
    stream = scenario.stream
    unknown = {
        "a stream that is not live": not stream.is_live,
        "several renditions": len(stream.bitrates) > 1,
        f"a playlist of more than {_RING // 2} segments": stream.window > _RING // 2,
        "several CDNs": len(scenario.cdns) > 1,
        "faults of a CDN": any(cdn.faults for cdn in scenario.cdns),
        "viewers who leave": any(viewer.leaves_us is not None for viewer in scenario.viewers),
        "viewers who seek or pause": any(viewer.seeks or viewer.pauses for viewer in scenario.viewers),
        "recorded lines, or lossy ones": any(viewer.trace is not None or viewer.loss for viewer in scenario.viewers),
        "peers that are not honest": any(viewer.behaviour is not Behaviour.HONEST for viewer in scenario.viewers),
    }
    found = [what for what, is_there in unknown.items() if is_there]
    if found:
        raise ConfigurationError(f"the light model does not know {', '.join(found)}; play {scenario.name!r} in full")
    return _World(scenario, config or BalancerConfig()).run()
