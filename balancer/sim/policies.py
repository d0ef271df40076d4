"""The policies that can be compared, by name."""

from __future__ import annotations

from ..config import BalancerConfig
from ..mixing import mix
from ..policy import Policy
from .references import BestScore, OneCdn, P2pMediaLoader, RoundRobin
from .scenario import Scenario
from .world import Strategy, StrategyMaker

__all__ = ["POLICIES", "ours"]


def ours(config: BalancerConfig) -> StrategyMaker:
    """The balancer's own policy, with these settings."""

    def make(scenario: Scenario, place: int) -> Strategy:
        return Policy(config, mix(scenario.seed, place))

    return make


POLICIES: dict[str, StrategyMaker] = {
    "shoal": ours(BalancerConfig()),
    "p2p-media-loader": lambda scenario, place: P2pMediaLoader(mix(scenario.seed, place)),
    "one-cdn": lambda scenario, place: OneCdn(mix(scenario.seed, place)),
    "round-robin": lambda scenario, place: RoundRobin(mix(scenario.seed, place)),
    "best-score": lambda scenario, place: BestScore(mix(scenario.seed, place)),
}
