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

import heapq
from collections.abc import Iterable

__all__ = ["Flow", "FlowNetwork", "Link"]

_NEAR = 1e-9  # relative: two rates this near are equal, a link this near its capacity is full


class Link:
    """One direction of an access line, or what a CDN can send altogether."""

    __slots__ = ("bound", "capacity", "flows", "load", "name")

    def __init__(self, name: str, capacity: float) -> None:
        self.name = name
        self.capacity = capacity
        self.load = 0.0
        self.flows: dict[int, Flow] = {}
        self.bound: dict[int, Flow] = {}  # those whose bottleneck it is

    def is_full(self) -> bool:
        return self.load >= self.capacity * (1.0 - _NEAR) - _NEAR


class Flow:
    """Bytes on their way over one or more links."""

    __slots__ = ("bottleneck", "cap", "left_bytes", "links", "number", "owner", "rate", "updated_us")

    def __init__(self, number: int, links: tuple[Link, ...], byte_count: int, cap: float, now_us: int) -> None:
        self.number = number
        self.links = links
        self.left_bytes = float(byte_count)
        self.cap = cap
        self.rate = 0.0
        self.bottleneck: Link | None = None  # None: its cap
        self.updated_us = now_us
        self.owner: object = None

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
    __slots__ = ("_changed", "_flow_count")

    def __init__(self) -> None:
        self._flow_count = 0
        self._changed: dict[int, Flow] = {}

    def start(self, links: Iterable[Link], byte_count: int, cap: float, now_us: int) -> Flow:
        """Bytes begin to move over all of `links`, at most `cap` a second.  Cost: see the first screen."""
        self._flow_count += 1
        flow = Flow(self._flow_count, tuple(links), byte_count, cap, now_us)
        region = {flow.number: flow}
        for link in flow.links:
            region.update(link.bound)
        for link in flow.links:
            link.flows[flow.number] = flow
        self._changed[flow.number] = flow
        self._solve(region, flow.links, now_us)
        return flow

    def stop(self, flow: Flow, now_us: int) -> None:
        """It ends; what it leaves free goes to the others."""
        flow.settle(now_us)
        region: dict[int, Flow] = {}
        for link in flow.links:
            del link.flows[flow.number]
            link.bound.pop(flow.number, None)
            link.load = link.load - flow.rate if link.flows else 0.0
            region.update(link.bound)
        flow.rate = 0.0
        self._changed.pop(flow.number, None)
        self._solve(region, flow.links, now_us)

    def set_capacity(self, link: Link, capacity: float, now_us: int) -> None:
        link.capacity = capacity
        self._solve(dict(link.flows if link.load >= capacity else link.bound), (link,), now_us)

    def set_cap(self, flow: Flow, cap: float, now_us: int) -> None:
        flow.cap = cap
        region = {flow.number: flow}
        for link in flow.links:
            region.update(link.bound)
        self._solve(region, flow.links, now_us)

    def take_changed(self) -> list[Flow]:
        """Flows whose rate is another than when this was last called."""
        changed = list(self._changed.values())
        self._changed.clear()
        return changed

    def _solve(self, region: dict[int, Flow], touched: tuple[Link, ...], now_us: int) -> None:
        """Fill the region against the others as they are, and widen it until nobody has reason to complain."""
        while True:
            links = {id(link): link for link in touched}
            for flow in region.values():
                for link in flow.links:
                    links[id(link)] = link
            if len(region) == 1:
                self._fill_one(next(iter(region.values())), links, now_us)
            else:
                self._fill(region, links, now_us)
            wider = dict(region)
            for link in links.values():
                _add_breakers(link, region, wider)
            if len(wider) == len(region):
                return
            region = wider

    def _fill_one(self, flow: Flow, links: dict[int, Link], now_us: int) -> None:
        """What `_fill` comes to for a single flow, which most regions are."""
        rate, bottleneck = flow.cap, None
        for link in links.values():
            if flow.number in link.flows:
                free = max(0.0, link.capacity - link.load + flow.rate)
                if free < rate or (bottleneck is None and free == rate):
                    rate, bottleneck = free, link
        self._set_rate(flow, rate, bottleneck, now_us)

    def _fill(self, region: dict[int, Flow], links: dict[int, Link], now_us: int) -> None:
        """Progressive filling of the region's flows into what the others leave free."""
        members: dict[int, list[Flow]] = {place: [] for place in links}
        free = {place: link.capacity - link.load for place, link in links.items()}
        for flow in region.values():
            for link in flow.links:
                members[id(link)].append(flow)
                free[id(link)] += flow.rate
        count = {place: len(flows) for place, flows in members.items()}
        free = {place: max(0.0, rest) for place, rest in free.items()}
        heap: list[tuple[float, int, int]] = []  # level, order, number of the flow or place in `order` of the link
        order = list(links)
        for at, place in enumerate(order):
            if count[place]:
                heap.append((free[place] / count[place], at, -1))
        for number, flow in region.items():
            heap.append((flow.cap, len(order), number))
        heapq.heapify(heap)
        frozen: dict[int, None] = {}
        while heap:
            level, at, number = heapq.heappop(heap)
            if number >= 0:
                bottleneck, settled = None, [region[number]]
            else:
                place = order[at]
                if not count[place]:
                    continue
                now_level = free[place] / count[place]
                if now_level > level * (1.0 + _NEAR):  # others took less than their share of it
                    heapq.heappush(heap, (now_level, at, -1))
                    continue
                bottleneck, settled = links[place], members[place]
            for flow in settled:
                if flow.number not in frozen:
                    frozen[flow.number] = None
                    for link in flow.links:
                        place = id(link)
                        free[place] = max(0.0, free[place] - level)
                        count[place] -= 1
                    self._set_rate(flow, level, bottleneck, now_us)

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


def _add_breakers(link: Link, region: dict[int, Flow], wider: dict[int, Flow]) -> None:
    """Flows outside the region whose rates the region's new ones have made unfair."""
    if not link.is_full():
        wider.update(link.bound)  # their bottleneck is none any more
        return
    least, most, is_bound = 0.0, 0.0, False
    for number, flow in link.bound.items():
        if number in region and (not is_bound or flow.rate < least):
            least, is_bound = flow.rate, True
    for flow in link.flows.values():
        most = max(most, flow.rate)
    for number, flow in link.flows.items():
        if number in region:
            continue
        has_more = is_bound and flow.rate > least * (1.0 + _NEAR) + _NEAR
        has_less = flow.bottleneck is link and flow.rate < most * (1.0 - _NEAR) - _NEAR
        if has_more or has_less:
            wider[number] = flow
