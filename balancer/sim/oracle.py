"""What no policy can beat: a relaxation that knows the future.

    stall, start-up, bitrate   each viewer's own line, at all times, with one CDN that never fails, has no limit
                               and no round trip; the player chooses bitrates as everywhere
    cost, share from peers     every segment that anybody played came once from the cheapest CDN, and from
                               peers to all others, whatever their lines up can carry

The two halves cannot be had together, so that the distance to it is more than could be
gained.  On a line that changes, a player that is given a segment sooner may choose a
higher bitrate and wait for it: a policy may then stall less than this.
"""

from __future__ import annotations

import msgspec

from .outcome import Outcome
from .references import OneCdn
from .scenario import CdnSpec, Scenario
from .world import World

__all__ = ["oracle"]

_NO_LIMIT = 1e12  # bytes per second


def oracle(scenario: Scenario) -> Outcome:
    """The bound of a scenario, as the outcome of a run."""
    cheapest = min(cdn.price_per_gb for cdn in scenario.cdns)
    free = CdnSpec(name=scenario.cdns[0].name, capacity=_NO_LIMIT, rtt_us=0, price_per_gb=cheapest)
    viewers = tuple(msgspec.structs.replace(viewer, rtt_us=1, loss=0.0) for viewer in scenario.viewers)
    world = World(
        msgspec.structs.replace(scenario, cdns=(free,), viewers=viewers, swarm=False), lambda *_: OneCdn(scenario.seed)
    )
    world.run()
    played = dict.fromkeys(key for viewer in world.viewers for key in viewer.held)
    once = sum(scenario.stream.size_bytes(key.rendition) for key in played) if scenario.swarm else None
    outcomes = [viewer.outcome for viewer in world.viewers]
    used = sum(outcome.cdn_bytes for outcome in outcomes)
    from_cdn = used if once is None else min(once, used)
    left = from_cdn
    for outcome in outcomes:  # who brings what in does not matter to any sum
        own = min(left, outcome.cdn_bytes)
        left -= own
        outcome.peer_bytes, outcome.cdn_bytes = outcome.cdn_bytes - own, own
    return Outcome(
        scenario=scenario.name,
        policy="oracle",
        seed=scenario.seed,
        viewers=outcomes,
        cdn_bytes={free.name: from_cdn},
        cost=from_cdn * cheapest / 1_000_000_000,
        events=world.event_count,
    )
