"""The policies that can be compared, by name."""

from __future__ import annotations

from ..config import BalancerConfig
from ..mixing import mix
from ..policy import Policy
from .light import light
from .oracle import oracle
from .outcome import Outcome
from .references import BestScore, CheapestCdn, HlsJs, OneCdn, P2pMediaLoader, RoundRobin
from .scenario import Scenario
from .world import Strategy, StrategyMaker, run

__all__ = ["LIGHT", "NAMES", "ORACLE", "POLICIES", "ours", "played"]

ORACLE = "oracle"  # no policy, but the bound of all
LIGHT = "light"  # no policy either: ours by a few rules, for crowds too large for it


def ours(config: BalancerConfig) -> StrategyMaker:
    """The balancer's own policy, with these settings."""

    def make(scenario: Scenario, place: int) -> Strategy:
        return Policy(config, mix(scenario.seed, place))

    return make


POLICIES: dict[str, StrategyMaker] = {
    "shoal": ours(BalancerConfig()),
    "p2p-media-loader": lambda scenario, place: P2pMediaLoader(mix(scenario.seed, place)),
    "hls.js": lambda scenario, place: HlsJs(mix(scenario.seed, place)),
    "one-cdn": lambda scenario, place: OneCdn(mix(scenario.seed, place)),
    "cheapest-cdn": lambda scenario, place: CheapestCdn(mix(scenario.seed, place)),
    "round-robin": lambda scenario, place: RoundRobin(mix(scenario.seed, place)),
    "best-score": lambda scenario, place: BestScore(mix(scenario.seed, place)),
}

NAMES = (*POLICIES, ORACLE)


def played(scenario: Scenario, name: str, make: StrategyMaker | None = None) -> Outcome:
    """The outcome of a scenario under the policy of that name, or under `make` in its place."""
    if name == ORACLE:
        return oracle(scenario)
    if name == LIGHT:
        return light(scenario)
    return run(scenario, name, make or POLICIES[name])
