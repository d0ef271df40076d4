"""A run can be looked at second by second, and comes out the same."""

from __future__ import annotations

import msgspec
import pytest

from shoal.balancer.config import BalancerConfig
from shoal.balancer.sim.film import ABSENT, PEERS, WAITING, filmed
from shoal.balancer.sim.policies import ours, played
from shoal.balancer.sim.scenario import Scenario
from shoal.balancer.sim.scenarios import live, vod


@pytest.mark.parametrize("scenario", [vod(1, 4), live(1, 3)], ids=lambda scenario: scenario.name)
def test_to_look_at_a_run_changes_nothing_of_it(scenario: Scenario) -> None:
    outcome, film = filmed(scenario, "shoal", ours(BalancerConfig()))
    assert outcome == played(scenario, "shoal")
    assert len(film.seconds) == len(film.buffers) == len(film.held) == len(film.rates[PEERS])
    assert film.seconds[:3] == [0.0, 1.0, 2.0]


def test_a_film_shows_who_waits_who_plays_and_how_segments_spread() -> None:
    scenario = vod(1, 4)
    *others, third = scenario.viewers[:3]
    slow = msgspec.structs.replace(third, down=0.3e6)  # its first segment takes more than a second
    scenario = msgspec.structs.replace(scenario, viewers=(*others, slow, scenario.viewers[3]))
    _outcome, film = filmed(scenario, "shoal", ours(BalancerConfig()))
    seen = [row[2] for row in film.buffers]
    assert seen[3] == ABSENT  # it comes after 4 s
    assert seen[5] == WAITING
    assert max(seen) > 10
    assert film.held[-1] == [1.0] * scenario.stream.segments


@pytest.mark.parametrize("scenario", [vod(1, 4), live(1, 3)], ids=lambda scenario: scenario.name)
def test_a_film_shows_every_byte_that_was_sent(scenario: Scenario) -> None:
    """Most transfers on a LAN are over between two looks."""
    outcome, film = filmed(scenario, "shoal", ours(BalancerConfig()))
    sent = {PEERS: sum(viewer.sent_bytes for viewer in outcome.viewers), **outcome.cdn_bytes}
    assert sent[PEERS] > 0
    assert {name: sum(rates) for name, rates in film.rates.items()} == pytest.approx(sent)
