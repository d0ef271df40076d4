"""Others' policies do what was measured of them, and the bound is one."""

from __future__ import annotations

import pytest

from shoal.balancer.sim.policies import NAMES, played
from shoal.balancer.sim.scenario import CdnSpec, Fault, FaultKind, Scenario, StreamSpec, ViewerSpec
from shoal.balancer.sim.scenarios import live, traced, vod

_S = 1_000_000


def faulty(kind: FaultKind) -> Scenario:
    """58 s of a stream with 8 s of buffer; the first pathway fails for good, the second is healthy."""
    return Scenario(
        name="fault",
        seed=1,
        stream=StreamSpec(segments=60),
        cdns=(CdnSpec(name="a", faults=(Fault(kind, 13 * _S, 1000 * _S),)), CdnSpec(name="b")),
        viewers=(ViewerSpec(buffer_us=8 * _S),),
        length_us=58 * _S,
        swarm=False,
    )


@pytest.mark.parametrize(
    ("kind", "measured_s"),  # hls.js 1.7.4 in a browser, with content steering
    [(FaultKind.ERROR, 23.7), (FaultKind.HANG, 36.9), (FaultKind.SILENT, 37.6), (FaultKind.SLOW, 29.4)],
)
def test_hls_js_stalls_as_long_as_was_measured_and_ours_does_not(kind: FaultKind, measured_s: float) -> None:
    assert played(faulty(kind), "hls.js").stall_s == pytest.approx(measured_s, rel=0.2)
    ours = played(faulty(kind), "shoal")
    assert ours.stall_s <= 0.5
    assert ours.wasted <= 0.05


@pytest.mark.parametrize("scenario", [vod(1, 4), live(1, 4), traced(2, 3)], ids=lambda scenario: scenario.name)
def test_no_policy_beats_the_bound(scenario: Scenario) -> None:
    bound = played(scenario, "oracle")
    for name in NAMES:
        found = played(scenario, name)
        assert found.cost_per_gb >= bound.cost_per_gb
        assert found.offload <= bound.offload
        assert found.startup_s >= bound.startup_s


def test_the_bound_of_a_lan_is_one_copy_for_all() -> None:
    assert played(vod(1, 10), "oracle").offload == pytest.approx(0.9, abs=0.001)
