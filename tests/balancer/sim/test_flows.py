"""Rates are max-min fair after whatever happened, and bytes arrive when they should."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.balancer.sim.flows import Flow, FlowNetwork, Link

from ...effort import EFFORT

NEAR = 1e-6


def full_solution(links: list[Link], flows: list[Flow]) -> dict[int, float]:
    """Water-filling from nothing, over everything: slow, and plain to see."""
    rates = {flow.number: 0.0 for flow in flows}
    growing = {flow.number: flow for flow in flows}
    while growing:
        room = [min(flow.cap - rates[number] for number, flow in growing.items())]
        for link in links:
            on_it = [number for number in link.flows if number in growing]
            if on_it:
                room.append((link.capacity - sum(rates[number] for number in link.flows)) / len(on_it))
        step = max(0.0, min(room))
        for number in growing:
            rates[number] += step
        for number, flow in list(growing.items()):
            full = any(
                sum(rates[other] for other in link.flows) >= link.capacity * (1 - 1e-12) - 1e-9 for link in flow.links
            )
            if full or rates[number] >= flow.cap * (1 - 1e-12):
                del growing[number]
    return rates


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("start"), st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True), st.integers(1, 9)
        ),
        st.tuples(st.just("stop"), st.integers(0, 30), st.just(0)),
        st.tuples(st.just("capacity"), st.integers(0, 5), st.integers(0, 40)),
        st.tuples(st.just("cap"), st.integers(0, 30), st.integers(1, 50)),
    ),
    max_size=40,
)


@settings(max_examples=300 * EFFORT, deadline=None)
@given(STEPS)
def test_after_each_change_the_rates_are_those_of_the_full_solution(steps) -> None:
    network = FlowNetwork()
    links = [Link(str(n), 10.0 + 7.0 * n) for n in range(6)]
    flows: list[Flow] = []
    for what, which, number in steps:
        if what == "start":
            flows.append(network.start([links[n] for n in which], 1_000_000, number * 4.0, 0))
        elif what == "stop" and flows:
            network.stop(flows.pop(which % len(flows)), 0)
        elif what == "capacity":
            network.set_capacity(links[which], float(number), 0)
        elif what == "cap" and flows:
            network.set_cap(flows[which % len(flows)], float(number), 0)
        expected = full_solution(links, flows)
        for flow in flows:
            assert flow.rate == pytest.approx(expected[flow.number], rel=NEAR, abs=NEAR)
        for link in links:
            assert link.load == pytest.approx(sum(flow.rate for flow in link.flows.values()), rel=NEAR, abs=NEAR)


@settings(max_examples=30 * EFFORT, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 60)), min_size=20, max_size=40))
def test_of_many_flows_that_share_a_full_link_the_rates_are_those_of_the_full_solution(given_flows) -> None:
    network = FlowNetwork()
    shared, lines = Link("cdn", 100.0), [Link(str(n), 20.0 + 7.0 * n) for n in range(5)]
    flows = [network.start((shared, lines[n]), 1_000_000, cap / 4, 0) for n, cap in given_flows]
    while flows:
        expected = full_solution([shared, *lines], flows)
        for flow in flows:
            assert flow.rate == pytest.approx(expected[flow.number], rel=NEAR, abs=NEAR)
        network.stop(flows.pop(len(flows) // 2), 0)


def test_an_arrival_changes_no_flow_that_it_shares_no_full_link_with() -> None:
    network = FlowNetwork()
    cdn = Link("cdn", 1e9)
    lines = [Link(f"line {n}", 1e6) for n in range(50)]
    for line in lines:
        network.start((cdn, line), 1_000_000, 1e12, 0)
    network.take_changed()
    new = network.start((cdn, lines[7]), 1_000_000, 1e12, 0)
    changed = network.take_changed()
    assert len(changed) == 2
    assert new in changed


def test_a_flow_that_gets_half_of_the_link_half_way_takes_half_as_long_again() -> None:
    network = FlowNetwork()
    link = Link("line", 1_000.0)
    first = network.start((link,), 1_000, 1e12, 0)
    assert first.done_us() == pytest.approx(1_000_000, abs=2)
    network.start((link,), 1_000, 1e12, 500_000)
    assert first.done_us() == pytest.approx(1_500_000, abs=2)


def test_nothing_arrives_over_a_link_that_carries_nothing() -> None:
    network = FlowNetwork()
    link = Link("line", 1_000.0)
    flow = network.start((link,), 1_000, 1e12, 0)
    network.set_capacity(link, 0.0, 100_000)
    assert flow.done_us() is None
    network.set_capacity(link, 100.0, 5_100_000)
    assert flow.done_us() == pytest.approx(14_100_000, abs=2)
