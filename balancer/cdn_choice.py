"""A CDN as the policy sees it, and which one to ask.

Each has a circuit breaker:

    closed     asked freely; `circuit_failures` consecutive failures open it
    open       not asked until its time is over, which doubles with each failed probe
    half-open  one transfer at a time probes it; success closes it, failure opens it again

Where prices differ, the cheapest of those that are surely in time are asked.  Among
these, or among all, the best is weight x expected speed x reliability.  An unmeasured one
is taken for a middling one, and tried on purpose when there is time to spare.
"""

from __future__ import annotations

from collections.abc import Sequence

from .bandwidth import Estimate
from .config import BalancerConfig
from .mixing import mix
from .model import SourceKind, source_label
from .transfers import Want

__all__ = ["Cdn", "Circuit", "best_cdn"]

_DOUBLINGS_MAX = 16
_TRIES = 2
_ERROR_RATE_SURE = 0.2  # one error among four that went well
_HALF_OPEN_FACTOR = 0.25  # a probe should rather be somebody's who can wait


class Circuit:
    def __init__(self, config: BalancerConfig) -> None:
        self._config = config
        self._failures = 0
        self._openings = 0
        self._blames = 0
        self._open_until_us: int | None = None
        self._blamed_until_us = 0
        self.probing = False

    def state(self, now_us: int) -> str:
        if self._open_until_us is None:
            return "closed"
        return "open" if now_us < self._open_until_us else "half-open"

    @property
    def is_broken(self) -> bool:
        """Whether it is open, or half-open: nothing is to be built on it now."""
        return self._open_until_us is not None

    def ready_us(self, now_us: int) -> int:
        """When it may be asked; `now_us` if that is now."""
        if self._open_until_us is None:
            return now_us
        if self.probing:  # its outcome comes as an event; this is only so that nobody waits for ever
            return max(now_us, self._open_until_us) + self._config.retry_backoff_us
        return max(now_us, self._open_until_us)

    def failed(self, now_us: int) -> None:
        self._failures += 1
        state = self.state(now_us)
        if state == "half-open" or (state == "closed" and self._failures >= self._config.circuit_failures):
            open_us = self._config.circuit_open_us << min(self._openings, _DOUBLINGS_MAX)
            self._openings += 1
            self._open_until_us = now_us + min(open_us, self._config.circuit_open_us_max)

    def succeeded(self, now_us: int) -> None:
        self._failures = 0
        if now_us >= self._blamed_until_us:  # a good segment does not make a wrong one right
            self._openings = 0
            self._open_until_us = None

    def blamed(self, now_us: int) -> None:
        """It sent wrong bytes."""
        open_us = self._config.circuit_blame_us << min(self._blames, _DOUBLINGS_MAX)
        self._blames += 1
        self._blamed_until_us = now_us + min(open_us, self._config.circuit_blame_us_max)
        self._open_until_us = max(self._open_until_us or 0, self._blamed_until_us)


class Cdn:
    def __init__(self, name: str, weight: float, place: int, estimate: Estimate, config: BalancerConfig) -> None:
        self.name = name
        self.label = source_label(SourceKind.CDN, name)
        self.weight = weight
        self.price_per_gb = 0.0
        self.place = place  # among the CDNs, in order of being added
        self.estimate = estimate
        self.circuit = Circuit(config)
        self.retry_at_us = 0  # it said Retry-After
        self.explored_us: int | None = None  # when it was last asked only in order to measure it
        self.transfer_count = 0
        self.running_count = 0

    def ready_us(self, want: Want, now_us: int, *, last_resort: bool = False) -> int | None:
        """When it may be asked for this resource; None: never.  The last resort passes over the circuit breaker."""
        mark = want.marks.get(self.label)
        if mark is not None and mark.never:
            return None
        ready_us = max(now_us, self.retry_at_us, mark.not_before_us if mark is not None else 0)
        return ready_us if last_resort else max(ready_us, self.circuit.ready_us(now_us))

    def expected_us(self, byte_count: int, config: BalancerConfig) -> int:
        """From the request to the last of `byte_count` bytes."""
        return self.estimate.expected_us(
            byte_count,
            bytes_per_s=config.unmeasured_bytes_per_s,
            first_byte_us=config.unmeasured_first_byte_us,
        )

    def is_sure(self, byte_count: int, slack_us: int, now_us: int, config: BalancerConfig) -> bool:
        """Whether it is measured, well, and has time for a second try elsewhere if it should fail."""
        return (
            self.estimate.sampled_us is not None
            and not self.circuit.is_broken
            and self.estimate.error_rate(now_us) <= _ERROR_RATE_SURE
            and _TRIES * self.expected_us(byte_count, config) * (1.0 + self.estimate.spread) <= slack_us
        )

    def may_be_explored(self, now_us: int, config: BalancerConfig) -> bool:
        """Unmeasured for long, idle, and not explored in vain just now."""
        long_ago_us = now_us - config.explore_after_us
        seen_us = [t for t in (self.estimate.sampled_us, self.explored_us) if t is not None]
        return self.weight > 0 and not self.running_count and max(seen_us, default=long_ago_us) <= long_ago_us

    def score(self, byte_count: int, now_us: int, config: BalancerConfig) -> float:
        speed = byte_count * 1_000_000 / max(1, self.expected_us(byte_count, config))
        half_open = _HALF_OPEN_FACTOR if self.circuit.state(now_us) != "closed" else 1.0
        return self.weight * speed * (1.0 - self.estimate.error_rate(now_us)) * half_open


def best_cdn(
    ready: Sequence[Cdn],
    byte_count: int,
    *,
    may_explore: bool,
    now_us: int,
    seed: int,
    config: BalancerConfig,
    slack_us: int | None = None,
) -> tuple[Cdn, bool] | None:
    """Which of the ready ones to ask for `byte_count` bytes, and whether it is asked in order to measure it.

    Of those that are surely in time, when it plays in `slack_us`, only the cheapest count.
    """
    if not ready:
        return None
    best = min(
        _cheapest(ready, byte_count, slack_us, now_us, config),
        key=lambda cdn: (-cdn.score(byte_count, now_us, config), cdn.transfer_count, mix(seed, cdn.place)),
    )
    if may_explore and best.estimate.sampled_us is not None:
        for cdn in ready:
            if cdn is not best and cdn.may_be_explored(now_us, config):
                return cdn, True
    return best, False


def _cheapest(
    ready: Sequence[Cdn], byte_count: int, slack_us: int | None, now_us: int, config: BalancerConfig
) -> Sequence[Cdn]:
    """The cheapest of those that are surely in time; all of them where nothing is sure, or all cost the same."""
    if slack_us is None or len({cdn.price_per_gb for cdn in ready}) == 1:
        return ready
    sure = [cdn for cdn in ready if cdn.is_sure(byte_count, slack_us, now_us, config)]
    least = min((cdn.price_per_gb for cdn in sure), default=None)
    return ready if least is None else [cdn for cdn in sure if cdn.price_per_gb == least]
