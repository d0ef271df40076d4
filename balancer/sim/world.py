"""Virtual time, links and CDNs; `run` plays a scenario under a policy.

    run(scenario, policy name, strategy maker) -> Outcome

A light event loop: moments in order (`agenda.py`), ties in order of making, no randomness but
`mixing.share` of the scenario's seed.  Each viewer is a player and a strategy, the
pure decision code (`viewer.py`); what the actors add, sockets and digests, is a delay
here.  The same scenario, strategy and seed give the same outcome, byte for byte.

What the flow model leaves out: packets, queues in routers, the back-off of TCP after
each single loss.  A flow's rate is max-min fair, capped while it starts slowly (ten
packets, doubled each round trip) and by its loss (MSS / RTT * sqrt(3 / 2p); Mathis,
Semke, Mahdavi and Ott, 1997).
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ..bandwidth import total
from ..events import Action, Event, SegmentsListed
from ..model import Kind, ResourceKey, Segment
from .agenda import Agenda
from .flows import Flow, FlowNetwork, Link
from .members import Members
from .outcome import Outcome
from .scenario import CdnSpec, Fault, Scenario
from .viewer import Viewer

__all__ = ["Cdn", "Strategy", "StrategyMaker", "World", "outcome_of", "run"]

_MSS_BYTES = 1460
_FIRST_PACKETS = 10  # RFC 6928
_CAP_MAX = 1e12  # no cap


class Strategy(Protocol):
    """What decides for one viewer; `Policy` is one."""

    def handle(self, event: Event, now_us: int, /) -> list[Action]: ...


StrategyMaker = Callable[[Scenario, int], Strategy]


class Cdn:
    """A CDN in the world: its link, and what it sent."""

    __slots__ = ("link", "sent_bytes", "spec")

    def __init__(self, spec: CdnSpec) -> None:
        self.spec = spec
        self.link = Link(spec.name, spec.capacity)
        self.sent_bytes = 0

    def fault(self, now_us: int) -> Fault | None:
        """What is wrong with it now."""
        for fault in self.spec.faults:
            if fault.from_us <= now_us < fault.until_us:
                return fault
        return None


class World:
    __slots__ = (
        "_agenda",
        "_listings",
        "_peaks",
        "_segment_us",
        "_segments",
        "cdns",
        "event_count",
        "network",
        "now_us",
        "scenario",
        "swarms",
        "viewers",
    )

    def __init__(self, scenario: Scenario, make: StrategyMaker) -> None:
        self.scenario = scenario
        self.now_us = 0
        self.network = FlowNetwork()
        self.cdns = {spec.name: Cdn(spec) for spec in scenario.cdns}
        self._agenda = Agenda()
        self._peaks: dict[int, int] = {}
        self.event_count = 0
        self.swarms: dict[int, Members[Viewer]] = {}  # by rendition
        stream = scenario.stream
        self._segments = stream.window if stream.is_live else stream.segments  # at the beginning
        self._segment_us = stream.duration_us if stream.is_live else 0  # there is one more after each
        self._listings: dict[int, tuple[int, SegmentsListed]] = {}  # by rendition: the end of it, and what all are told
        self.viewers = [Viewer(self, place, spec, make) for place, spec in enumerate(scenario.viewers)]
        for viewer in self.viewers:
            self.at(viewer.spec.arrives_us, viewer.arrive, ())

    def at(self, time_us: int, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        """Call back then, or now if that is past; equals in the order asked."""
        self._agenda.put(max(time_us, self.now_us), callback, arguments)

    def run(self, *, look: Callable[[], object] | None = None, every_us: int = 1_000_000) -> None:
        """Until the scenario's end.  `look` is called at each multiple of `every_us`, before what happens then."""
        end_us = self.scenario.length_us
        if look is not None:
            for look_us in range(0, end_us + 1, every_us):
                self._run_until(look_us)
                self.now_us = look_us
                look()
        self._run_until(end_us + 1)
        self.now_us = end_us
        for viewer in self.viewers:
            viewer.finish()

    def _run_until(self, before_us: int) -> None:
        """All that happens before that moment."""
        agenda = self._agenda
        while agenda.take(before_us):
            self.now_us = agenda.time_us
            self.event_count += 1
            agenda.callback(*agenda.arguments)

    def available(self) -> int:
        """One more than the newest segment that exists now."""
        return self._segments + (self.now_us // self._segment_us if self._segment_us else 0)

    def listing(self, rendition: int) -> SegmentsListed:
        """The rendition's playlist as it is now; who reads the same one shares its keys."""
        stream, end = self.scenario.stream, self.available()
        known = self._listings.get(rendition)
        if known is not None and known[0] == end:
            return known[1]
        first = max(0, end - stream.window) if stream.is_live else 0
        before = {} if known is None else {segment.key.number: segment for segment in known[1].segments}
        segments = [before.get(number) or self._segment(rendition, number) for number in range(first, end)]
        listed = SegmentsListed(rendition, tuple(segments), stream.is_live)
        self._listings[rendition] = (end, listed)
        return listed

    def key(self, rendition: int, number: int) -> ResourceKey:
        """Of a segment, as the playlist names it where it does."""
        segments = self.listing(rendition).segments
        place = number - segments[0].key.number if segments else -1
        if 0 <= place < len(segments):
            return segments[place].key
        return ResourceKey(rendition, Kind.MEDIA, number)

    def _segment(self, rendition: int, number: int) -> Segment:
        """As all playlists name it that do: who looks up a key that is the same object need not compare it."""
        stream = self.scenario.stream
        return Segment(
            key=ResourceKey(rendition, Kind.MEDIA, number),
            uri="",
            start_us=number * stream.duration_us,
            duration_us=stream.duration_us,
            is_hashed=self.scenario.hashes,
            is_audited=not self.scenario.hashes,
        )

    # --- flows

    def start_flow(  # noqa: PLR0917, a C method has no keyword-only arguments
        self, links: tuple[Link, ...], byte_count: int, rtt_us: int, loss: float, cap: float | None, owner: Any
    ) -> Flow:
        """Bytes begin to move; `owner.due_at` is told whenever it is another moment at which all are there."""
        rtt_us = max(100, rtt_us)
        most = _CAP_MAX if cap is None else cap
        if loss > 0.0:
            most = min(most, _MSS_BYTES * 1_000_000 / rtt_us * math.sqrt(1.5 / loss))
        first = min(most, _MSS_BYTES * _FIRST_PACKETS * 1_000_000 / rtt_us)
        flow = self.network.start(links, byte_count, first, self.now_us)
        flow.owner = owner
        self._reschedule()
        if first < most:
            self.at(self.now_us + rtt_us, self._grow, (flow, rtt_us, most))
        return flow

    def stop_flow(self, flow: Flow) -> None:
        self.network.stop(flow, self.now_us)
        self._reschedule()

    def set_cap(self, flow: Flow, cap: float) -> None:
        self.network.set_cap(flow, cap, self.now_us)
        self._reschedule()

    def set_capacity(self, link: Link, capacity: float) -> None:
        self.network.set_capacity(link, capacity, self.now_us)
        self._reschedule()

    def sent_by_cdn(self, cdn: Cdn, byte_count: int) -> None:
        """Count what arrived of a CDN's bytes, for its bill and its peak."""
        cdn.sent_bytes += byte_count
        second = self.now_us // 1_000_000
        self._peaks[second] = self._peaks.get(second, 0) + byte_count

    @property
    def cdn_peak(self) -> int:
        return max(self._peaks.values(), default=0)

    def _grow(self, flow: Flow, rtt_us: int, most: float) -> None:
        """Slow start, until something else is what holds it back."""
        if flow.owner is None:
            return
        owner: Any = flow.owner
        if owner.is_choked:
            self.at(self.now_us + rtt_us, self._grow, (flow, rtt_us, most))
            return
        cap = min(most, flow.cap * 2) if flow.bottleneck is None else most
        self.network.set_cap(flow, cap, self.now_us)
        self._reschedule()
        if cap < most:
            self.at(self.now_us + rtt_us, self._grow, (flow, rtt_us, most))

    def _reschedule(self) -> None:
        for flow in self.network.take_changed():
            transfer: Any = flow.owner
            if transfer is not None:
                transfer.due_at(flow.done_us())


def run(
    scenario: Scenario,
    policy: str,
    make: StrategyMaker,
    *,
    look: Callable[[], object] | None = None,
    every_us: int = 1_000_000,
) -> Outcome:
    """Play the scenario, each viewer with its own strategy of `make(scenario, viewer's place)`; `look`: see `World`."""
    with _uncollected():
        world = World(scenario, make)
        world.run(look=look, every_us=every_us)
        return outcome_of(world, policy)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without looking for cycles again and again in a world that lives until its end, and makes none on its way."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def outcome_of(world: World, policy: str) -> Outcome:
    """What a world that has run came to."""
    return Outcome(
        scenario=world.scenario.name,
        policy=policy,
        seed=world.scenario.seed,
        viewers=[viewer.outcome for viewer in world.viewers],
        cdn_bytes={name: cdn.sent_bytes for name, cdn in world.cdns.items()},
        cost=total(cdn.sent_bytes * cdn.spec.price_per_gb / 1_000_000_000 for cdn in world.cdns.values()),
        cdn_peak_bytes_per_s=world.cdn_peak,
        events=world.event_count,
    )
