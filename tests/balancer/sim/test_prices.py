"""What a fault of the cheapest CDN costs: only as long as it lasts, and little longer."""

from __future__ import annotations

import pytest

from shoal.balancer.sim.policies import POLICIES
from shoal.balancer.sim.scenario import CdnSpec, Fault, FaultKind, Scenario, StreamSpec, ViewerSpec
from shoal.balancer.sim.world import run

SECOND = 1_000_000
STREAM_S, FAULT_S = 240, 20


@pytest.mark.parametrize(
    "kind", [FaultKind.ERROR, FaultKind.DEAD, FaultKind.SILENT, FaultKind.HANG, FaultKind.SLOW], ids=str
)
def test_the_cheapest_cdn_is_asked_again_soon_after_its_fault(kind: FaultKind) -> None:
    fault = Fault(kind, 30 * SECOND, (30 + FAULT_S) * SECOND)
    scenario = Scenario(
        name="prices",
        seed=1,
        stream=StreamSpec(segments=STREAM_S // 4, duration_us=4 * SECOND, bitrates=(1_500_000,)),
        cdns=(CdnSpec(name="dear", price_per_gb=4.0), CdnSpec(name="cheap", price_per_gb=1.0, faults=(fault,))),
        viewers=(ViewerSpec(down=1.25e6),),
        length_us=300 * SECOND,
        swarm=False,
    )
    outcome = run(scenario, "shoal", POLICIES["shoal"])
    assert outcome.stall_s == 0
    # The fault, and as long again: two transfers that go well, ten seconds apart.
    assert outcome.cdn_bytes["dear"] <= 2 * FAULT_S / STREAM_S * sum(outcome.cdn_bytes.values())
