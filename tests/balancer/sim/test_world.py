"""Whole swarms in virtual time: what the policies make of them, and that runs repeat."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from collections.abc import Iterable

import pytest

from shoal.balancer.sim.policies import POLICIES
from shoal.balancer.sim.scenario import Behaviour, CdnSpec, Fault, FaultKind, Scenario, ViewerSpec
from shoal.balancer.sim.scenarios import SCENARIOS, hostile, live, traced, vod
from shoal.balancer.sim.world import run

SECOND = 1_000_000
FAULTS = (FaultKind.ERROR, FaultKind.SILENT, FaultKind.HANG, FaultKind.SLOW, FaultKind.DEAD, FaultKind.WRONG)


def play(scenario: Scenario, policy: str):
    return run(scenario, policy, POLICIES[policy])


@pytest.mark.parametrize(("viewers", "measured"), [(10, 0.656), (20, 0.693)])
def test_p2p_media_loader_offloads_what_was_measured_of_it(viewers: int, measured: float) -> None:
    for seed in range(2):
        assert play(vod(seed, viewers), "p2p-media-loader").offload == pytest.approx(measured, abs=0.03)


@pytest.mark.parametrize(("viewers", "least"), [(10, 0.85), (20, 0.90)])
def test_each_segment_enters_a_lan_about_once(viewers: int, least: float) -> None:
    for seed in range(2):
        ours = play(vod(seed, viewers), "shoal")
        assert ours.offload >= least
        assert ours.stall_s == 0


def test_viewers_of_a_live_stream_get_most_from_each_other() -> None:
    for seed in range(3):
        ours = play(live(seed, 4), "shoal")
        assert ours.offload >= 0.70
        assert ours.stall_s == 0


def test_a_polluter_and_free_riders_cost_no_wrong_byte_and_little_offload() -> None:
    bad = play(hostile(0, 20), "shoal")
    good = play(vod(0, 20), "shoal")
    assert bad.wrong_bytes == 0
    assert bad.offload >= 0.9 * good.offload
    assert bad.stall_s == 0


def test_the_reference_without_hashes_passes_wrong_bytes_on() -> None:
    assert play(hostile(1, 20), "p2p-media-loader").wrong_bytes > 0


@pytest.mark.parametrize("kind", FAULTS)
def test_with_a_healthy_second_cdn_no_fault_of_the_first_stops_the_picture(kind: FaultKind) -> None:
    fault = Fault(kind, 10 * SECOND, 40 * SECOND)
    scenario = Scenario(
        name="fault",
        seed=3,
        cdns=(CdnSpec(name="a", weight=3.0, faults=(fault,)), CdnSpec(name="b")),
        viewers=(ViewerSpec(buffer_us=8 * SECOND),),
    )
    ours = play(scenario, "shoal")
    assert ours.viewers[0].delivered_bytes == 15_000_000
    assert ours.stall_s == 0
    assert ours.wrong_bytes == 0


def test_a_liar_costs_no_stall() -> None:
    viewers = (ViewerSpec(behaviour=Behaviour.LIAR), *(ViewerSpec(arrives_us=n * SECOND) for n in range(1, 6)))
    ours = play(Scenario(name="liar", viewers=viewers), "shoal")
    assert ours.stall_s == 0
    assert ours.offload > 0.5


def test_seeks_pauses_and_leaving_are_lived_through() -> None:
    viewers = tuple(
        ViewerSpec(
            arrives_us=n * SECOND,
            seeks=((20 * SECOND, 20),) if n == 1 else (),
            pauses=((5 * SECOND, 10 * SECOND),) if n == 2 else (),
            leaves_us=15 * SECOND if n == 3 else None,
        )
        for n in range(6)
    )
    ours = play(Scenario(name="restless", viewers=viewers), "shoal")
    assert ours.viewers[1].played_us < 60 * SECOND
    assert ours.viewers[2].played_us == 60 * SECOND
    assert ours.viewers[3].played_us < 16 * SECOND
    assert ours.viewers[4].delivered_bytes == 15_000_000


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_bytes_are_neither_made_nor_lost(scenario: str, policy: str) -> None:
    outcome = play(SCENARIOS[scenario](5, 3), policy)
    came = sum(v.cdn_bytes + v.peer_bytes + v.wasted_bytes for v in outcome.viewers)
    sent = sum(outcome.cdn_bytes.values()) + sum(v.sent_bytes for v in outcome.viewers)
    under_way = 3 * 8 * 1_500_000  # of transfers that the end of the run cut off
    assert came <= sent <= came + under_way
    assert all(v.delivered_bytes <= v.cdn_bytes + v.peer_bytes for v in outcome.viewers)


_DIGEST = """
import hashlib, msgspec
from shoal.balancer.sim.policies import POLICIES
from shoal.balancer.sim.scenarios import SCENARIOS
from shoal.balancer.sim.world import run
digest = hashlib.sha256()
for scenario in SCENARIOS:
    for policy in POLICIES:
        digest.update(msgspec.json.encode(run(SCENARIOS[scenario](9, 2), policy, POLICIES[policy])))
print(digest.hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_fresh_processes() -> None:
    digests = []
    for salt in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        done = subprocess.run(
            [sys.executable, "-c", _DIGEST], env=environment, capture_output=True, text=True, check=True
        )
        digests.append(done.stdout.strip())
    assert digests[0] == digests[1]


@pytest.mark.parametrize("module", ["agenda", "neighbours", "player", "transfer", "viewer", "world"])
def test_the_parts_of_a_world_may_be_imported_in_any_order(module: str) -> None:
    """They know each other, and compiled ones must find each other's classes before all of a module has run."""
    subprocess.run([sys.executable, "-c", f"import shoal.balancer.sim.{module}"], check=True)


def test_no_decision_adds_floats_by_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """It rounds otherwise from Python 3.12 on, and then traces would differ between versions."""

    def whole(values: Iterable[int], start: int = 0) -> int:
        for value in values:
            assert not isinstance(value, float), value
            start += value
        return start

    monkeypatch.setattr(builtins, "sum", whole)
    for policy in POLICIES:
        assert play(traced(4, 3), policy).events > 0
