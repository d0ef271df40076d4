"""A network of shared links in which each flow has its max-min fair rate.

    network.start(links, byte_count, cap, now_us) -> Flow     bytes begin to move
    network.stop(flow, now_us)                                they end, done or not
    network.set_capacity(link, bytes_per_s, now_us)           a trace goes on
    network.set_cap(flow, bytes_per_s, now_us)                slow start goes on
    network.take_changed() -> flows                           whose rates are others now

Max-min (Bertsekas and Gallager, Data Networks, 6.5.2): every flow has its cap, or a
bottleneck, a full link on which no other flow has more.  That is checked where
something changed, and only flows that could break it are solved anew: links that
are not full couple nothing, so an arrival costs the flows of its own full links and
not those of the world.  The rates equal the full solution (a property in the tests).

Rates are bytes per second.  Only + - * / on floats, in one order: runs repeat.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

__all__ = ["Flow", "FlowNetwork", "Link"]

_FEW = 12  # so many flows are looked through for the next level sooner than they are put into a heap
_NEAR = 1e-9  # relative: two rates this near are equal, a link this near its capacity is full


class Link:
    """One direction of an access line, or what a CDN can send altogether."""

    __slots__ = ("bound", "capacity", "count", "flows", "free", "level", "load", "mark", "name")

    def __init__(self, name: str, capacity: float) -> None:
        self.name = name
        self.capacity = capacity
        self.load = 0.0
        self.flows: dict[int, Flow] = {}
        self.bound: dict[int, Flow] = {}  # those whose bottleneck it is
        # While it is solved: which solving that is; what others leave, for how many flows, and for each by that.
        self.mark = 0
        self.free = self.level = 0.0
        self.count = 0

    def is_full(self) -> bool:
        return self.load >= self.capacity * (1.0 - _NEAR) - _NEAR


class Flow:
    """Bytes on their way over one or more links."""

    __slots__ = (
        "bottleneck",
        "cap",
        "frozen",
        "left_bytes",
        "links",
        "mark",
        "number",
        "owner",
        "rate",
        "updated_us",
    )

    def __init__(self, number: int, links: tuple[Link, ...], byte_count: int, cap: float, now_us: int) -> None:
        self.number = number
        self.links = links
        self.left_bytes = float(byte_count)
        self.cap = cap
        self.rate = 0.0
        self.bottleneck: Link | None = None  # None: its cap
        self.updated_us = now_us
        self.owner: object = None
        self.mark = 0  # the solving that it is part of
        self.frozen = 0  # the solving in which it has its rate

    def settle(self, now_us: int) -> None:
        """Count what has moved since the last time."""
        if now_us > self.updated_us:
            moved = self.rate * (now_us - self.updated_us) / 1_000_000
            self.left_bytes = max(0.0, self.left_bytes - moved)
            self.updated_us = now_us

    def done_us(self) -> int | None:
        """When its last byte is there if nothing changes; None while nothing moves."""
        if self.left_bytes <= 0.0:
            return self.updated_us
        if self.rate <= 0.0:
            return None
        return self.updated_us + int(self.left_bytes * 1_000_000 / self.rate) + 1


class FlowNetwork:
    __slots__ = ("_changed", "_flow_count", "_marks")

    def __init__(self) -> None:
        self._flow_count = 0
        self._marks = 0  # of links and flows that were looked at: a running number, so that none is ever taken off
        self._changed: dict[int, Flow] = {}

    def start(self, links: Iterable[Link], byte_count: int, cap: float, now_us: int) -> Flow:
        """Bytes begin to move over all of `links`, at most `cap` a second.  Cost: see the first screen."""
        self._flow_count += 1
        flow = Flow(self._flow_count, tuple(links), byte_count, cap, now_us)
        region = self._bound_to(flow)
        for link in flow.links:
            link.flows[flow.number] = flow
        self._changed[flow.number] = flow
        self._solve(region, flow.links, now_us)
        return flow

    def stop(self, flow: Flow, now_us: int) -> None:
        """It ends; what it leaves free goes to the others."""
        flow.settle(now_us)
        region = self._bound_to(flow)
        del region[0]
        for link in flow.links:
            del link.flows[flow.number]
            link.bound.pop(flow.number, None)
            link.load = link.load - flow.rate if link.flows else 0.0
        flow.rate = 0.0
        self._changed.pop(flow.number, None)
        self._solve(region, flow.links, now_us)

    def set_capacity(self, link: Link, capacity: float, now_us: int) -> None:
        link.capacity = capacity
        self._solve(list((link.flows if link.load >= capacity else link.bound).values()), (link,), now_us)

    def set_cap(self, flow: Flow, cap: float, now_us: int) -> None:
        flow.cap = cap
        self._solve(self._bound_to(flow), flow.links, now_us)

    def take_changed(self) -> list[Flow]:
        """Flows whose rate is another than when this was last called."""
        if not self._changed:
            return []
        changed = list(self._changed.values())
        self._changed.clear()
        return changed

    def _bound_to(self, flow: Flow) -> list[Flow]:
        """The flow, and those whose bottleneck is one of its links; each once."""
        self._marks += 1
        flow.mark = self._marks
        region = [flow]
        for link in flow.links:
            for other in link.bound.values():
                if other.mark != self._marks:
                    other.mark = self._marks
                    region.append(other)
        return region

    def _solve(self, region: list[Flow], touched: tuple[Link, ...], now_us: int) -> None:
        """Fill the region against the others as they are, and widen it until nobody has reason to complain."""
        while True:
            self._marks += 1
            links: list[Link] = []
            for link in touched:
                _take_in(link, links, self._marks)
            for flow in region:
                flow.mark = self._marks
                for link in flow.links:
                    _take_in(link, links, self._marks)
            if len(region) == 1:
                self._fill_one(region[0], links, now_us)
            elif len(region) <= _FEW:
                self._fill_few(region, links, now_us)
            else:
                self._fill_many(region, links, now_us)
            count = len(region)
            for link in links:
                _add_breakers(link, region, self._marks)
            if len(region) == count:
                return

    def _fill_one(self, flow: Flow, links: list[Link], now_us: int) -> None:
        """What `_fill_few` comes to for a single flow, which most regions are."""
        rate, bottleneck = flow.cap, None
        for link in links:
            if flow.number in link.flows:
                free = max(0.0, link.capacity - link.load + flow.rate)
                if free < rate or (bottleneck is None and free == rate):
                    rate, bottleneck = free, link
        flow.frozen = self._marks
        self._set_rate(flow, rate, bottleneck, now_us)

    def _fill_few(self, region: list[Flow], links: list[Link], now_us: int) -> None:
        """Progressive filling of the region's flows into what the others leave free.

        The lowest level is filled next: a link's, or a flow's cap; links before flows, in their order.  A link's is
        what it was when it was last looked at, and is looked at anew when its turn comes: others took less, perhaps.
        """
        _prepare(region, links)
        mark, left = self._marks, len(region)
        while left:
            level, bottleneck, first = 0.0, None, None
            for link in links:
                if link.count and (bottleneck is None or link.level < level):
                    level, bottleneck = link.level, link
            for flow in region:
                is_lower = flow.cap < level or (bottleneck is None and first is None)
                if flow.frozen != mark and (
                    is_lower or (first is not None and flow.cap == level and flow.number < first.number)
                ):
                    level, bottleneck, first = flow.cap, None, flow
            if first is not None:
                self._freeze(first, level, None, mark, now_us)
                left -= 1
                continue
            assert bottleneck is not None
            now_level = bottleneck.free / bottleneck.count
            if now_level > level * (1.0 + _NEAR):  # others took less than their share of it
                bottleneck.level = now_level
                continue
            for flow in region:
                if flow.frozen != mark and bottleneck in flow.links:
                    self._freeze(flow, level, bottleneck, mark, now_us)
                    left -= 1

    def _fill_many(self, region: list[Flow], links: list[Link], now_us: int) -> None:
        """The same, with a heap of levels, and with each link's flows at hand."""
        _prepare(region, links)
        mark = self._marks
        members: dict[int, list[Flow]] = {id(link): [] for link in links}
        for flow in region:
            for link in flow.links:
                members[id(link)].append(flow)
        heap: list[tuple[float, int, int]] = []  # level, place of the link, or number of the flow behind all links
        for at, link in enumerate(links):
            if link.count:
                heap.append((link.level, at, -1))
        for at, flow in enumerate(region):
            heap.append((flow.cap, len(links) + flow.number, at))
        heapify(heap)
        while heap:
            level, at, place = heappop(heap)
            if place >= 0:
                bottleneck, settled = None, [region[place]]
            else:
                bottleneck = links[at]
                if not bottleneck.count:
                    continue
                now_level = bottleneck.free / bottleneck.count
                if now_level > level * (1.0 + _NEAR):
                    heappush(heap, (now_level, at, -1))
                    continue
                settled = members[id(bottleneck)]
            for flow in settled:
                if flow.frozen != mark:
                    self._freeze(flow, level, bottleneck, mark, now_us)

    def _freeze(self, flow: Flow, rate: float, bottleneck: Link | None, mark: int, now_us: int) -> None:
        """This is the flow's rate; its links have so much less for the others."""
        flow.frozen = mark
        for link in flow.links:
            link.free = max(0.0, link.free - rate)
            link.count -= 1
        self._set_rate(flow, rate, bottleneck, now_us)

    def _set_rate(self, flow: Flow, rate: float, bottleneck: Link | None, now_us: int) -> None:
        if flow.bottleneck is not bottleneck:
            if flow.bottleneck is not None:
                flow.bottleneck.bound.pop(flow.number, None)
            flow.bottleneck = bottleneck
            if bottleneck is not None:
                bottleneck.bound[flow.number] = flow
        if rate != flow.rate:
            flow.settle(now_us)
            for link in flow.links:
                link.load += rate - flow.rate
            flow.rate = rate
            self._changed[flow.number] = flow


def _take_in(link: Link, links: list[Link], mark: int) -> None:
    """The link belongs to what is solved; once."""
    if link.mark != mark:
        link.mark = mark
        links.append(link)


def _prepare(region: list[Flow], links: list[Link]) -> None:
    """What each link has for the region's flows, and what that is for each of them."""
    for link in links:
        link.free = link.capacity - link.load
        link.count = 0
    for flow in region:
        for link in flow.links:
            link.free += flow.rate
            link.count += 1
    for link in links:
        link.free = max(0.0, link.free)
        link.level = link.free / link.count if link.count else 0.0


def _add_breakers(link: Link, region: list[Flow], mark: int) -> None:
    """Add to the region those whose rates the ones that it has now have made unfair."""
    if not link.is_full():
        for flow in link.bound.values():  # their bottleneck is none any more
            if flow.mark != mark:
                flow.mark = mark
                region.append(flow)
        return
    least, most, is_bound = 0.0, 0.0, False
    for flow in link.bound.values():
        if flow.frozen == mark and (not is_bound or flow.rate < least):
            least, is_bound = flow.rate, True
    for flow in link.flows.values():
        most = max(most, flow.rate)
    for flow in link.flows.values():
        if flow.mark == mark:
            continue
        has_more = is_bound and flow.rate > least * (1.0 + _NEAR) + _NEAR
        has_less = flow.bottleneck is link and flow.rate < most * (1.0 - _NEAR) - _NEAR
        if has_more or has_less:
            flow.mark = mark
            region.append(flow)
