"""A CDN as the policy sees it, and which one to ask.

Each has a circuit breaker:

    closed     asked freely; `circuit_failures` consecutive failures open it
    open       not asked until its time is over, which doubles with each failed probe
    half-open  one transfer at a time probes it; success closes it, failure opens it again

Only those of the first priority that are ready count.  Where prices differ, the
cheapest of those that are surely in time are asked; what is committed costs nothing.
Among these, or among all, the best is weight x expected speed x reliability.  An
unmeasured one is taken for a middling one, and tried on purpose when there is time to
spare; a dearer one than the best is not, since nobody would go there by choice.

Who was asked last stays the best until another is better by `switch_gain` (hysteresis):
two that are about as good would otherwise take turns, each with its slow start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from .bandwidth import Estimate
from .config import BalancerConfig
from .mixing import mix
from .model import SourceKind, source_label
from .transfers import Want

__all__ = ["LINE_HOPE", "Cdn", "Circuit", "best_cdn", "cheaper_again_us"]

# No source is believed to be faster than the line was lately, times this: more than 1 / `move_gain`, so that another is
# tried in time of need, and less than 1 / `switch_gain`, so that on a slow line they do not take turns.
LINE_HOPE = 1.5
_DOUBLINGS_MAX = 16
_TRIES = 2
_ERROR_RATE_SURE = 0.2  # one error among four that went well


class Circuit:
    __slots__ = (
        "_blamed_until_us",
        "_blames",
        "_config",
        "_failures",
        "_open_until_us",
        "_openings",
        "good_in_row",
        "is_broken",
        "probing",
    )

    def __init__(self, config: BalancerConfig) -> None:
        self._config = config
        self._failures = 0
        self._openings = 0
        self._blames = 0
        self._open_until_us: int | None = None
        self.is_broken = False  # open, or half-open: nothing is to be built on it now
        self._blamed_until_us = 0
        self.good_in_row = 0  # transfers that went well since the last failure
        self.probing = False

    def state(self, now_us: int) -> str:
        if self._open_until_us is None:
            return "closed"
        return "open" if now_us < self._open_until_us else "half-open"

    def ready_us(self, now_us: int) -> int:
        """When it may be asked; `now_us` if that is now."""
        if self._open_until_us is None:
            return now_us
        if self.probing:  # its outcome comes as an event; this is only so that nobody waits for ever
            return max(now_us, self._open_until_us) + self._config.retry_backoff_us
        return max(now_us, self._open_until_us)

    def failed(self, now_us: int) -> None:
        self._failures += 1
        self.good_in_row = 0
        state = self.state(now_us)
        if state == "half-open" or (state == "closed" and self._failures >= self._config.circuit_failures):
            open_us = self._config.circuit_open_us << min(self._openings, _DOUBLINGS_MAX)
            self._openings += 1
            self._open_until_us = now_us + min(open_us, self._config.circuit_open_us_max)
            self.is_broken = True

    def succeeded(self, now_us: int) -> None:
        self._failures = 0
        self.good_in_row += 1
        if now_us >= self._blamed_until_us:  # a good segment does not make a wrong one right
            self._openings = 0
            self._open_until_us = None
            self.is_broken = False

    def blamed(self, now_us: int) -> None:
        """It sent wrong bytes."""
        self.good_in_row = 0
        open_us = self._config.circuit_blame_us << min(self._blames, _DOUBLINGS_MAX)
        self._blames += 1
        self._blamed_until_us = now_us + min(open_us, self._config.circuit_blame_us_max)
        self._open_until_us = max(self._open_until_us or 0, self._blamed_until_us)
        self.is_broken = True


class Cdn:
    __slots__ = (
        "audits_failed",
        "circuit",
        "commit_bytes",
        "estimate",
        "explored_us",
        "falls",
        "is_used",
        "label",
        "last_used",
        "name",
        "place",
        "price_per_gb",
        "priority",
        "retry_at_us",
        "running_count",
        "sent_bytes",
        "transfer_count",
        "weight",
    )

    def __init__(self, name: str, weight: float, place: int, estimate: Estimate, config: BalancerConfig) -> None:
        self.name = name
        self.label = source_label(SourceKind.CDN, name)
        self.weight = weight
        self.price_per_gb = 0.0
        self.priority = 0
        self.commit_bytes = 0
        self.is_used = True  # else it has nothing of this stream
        self.sent_bytes = 0
        self.place = place  # among the CDNs, in order of being added
        self.estimate = estimate
        self.circuit = Circuit(config)
        self.retry_at_us = 0  # it said Retry-After
        self.explored_us: int | None = None  # when it was last asked only in order to measure it
        self.last_used = 0  # a running number of requests, not counting explorations
        self.falls = 0  # times in a row that it was left for being slow
        self.transfer_count = 0
        self.running_count = 0
        self.audits_failed = 0  # in a row, with an answer that says nothing: it does not serve ranges

    def ready_us(self, want: Want, now_us: int, last_resort: bool = False) -> int | None:
        """When it may be asked for this resource; None: never.  The last resort passes over the circuit breaker."""
        mark = want.marks.get(self.label)
        if not self.is_used or (mark is not None and mark.never):
            return None
        ready_us = max(now_us, self.retry_at_us)
        if mark is not None:
            ready_us = max(ready_us, mark.not_before_us)
        return ready_us if last_resort else max(ready_us, self.circuit.ready_us(now_us))

    def expected_us(
        self, byte_count: int, now_us: int, config: BalancerConfig, most_bytes_per_s: float | None = None
    ) -> int:
        """From the request to the last of `byte_count` bytes, which come no faster than `most_bytes_per_s`."""
        return self.estimate.expected_us(
            byte_count,
            now_us,
            config.unmeasured_bytes_per_s,
            config.unmeasured_first_byte_us,
            config.estimate_half_life_us,
            math.inf if most_bytes_per_s is None else most_bytes_per_s,
        )

    @property
    def price(self) -> float:
        """Of the next GB: what is committed is paid for, used or not."""
        return 0.0 if self.sent_bytes < self.commit_bytes else self.price_per_gb

    def is_sure(self, byte_count: int, slack_us: int, now_us: int, config: BalancerConfig) -> bool:
        """Whether it is measured, well, and has time for a second try elsewhere if it should fail."""
        measured = self.estimate.bytes_per_s
        if measured is None or self.circuit.is_broken:
            return False
        if self.estimate.error_rate(now_us) > _ERROR_RATE_SURE and self.circuit.good_in_row < config.circuit_failures:
            return False  # a fault that is over is forgiven as it was found: by so many in a row
        expected_us = self.expected_us(byte_count, now_us, config, measured)
        return _TRIES * expected_us * (1.0 + self.estimate.spread) <= slack_us

    def is_unknown(self, now_us: int, config: BalancerConfig) -> bool:
        """Whether it was not measured, or long enough ago for it to be another now."""
        sampled_us = self.estimate.sampled_us
        return sampled_us is None or now_us - sampled_us >= self._again_us(config)

    def _again_us(self, config: BalancerConfig) -> int:
        """After how long it may be another: longer with each time that it was left for being slow."""
        return min(config.explore_after_us, config.retry_slow_us << min(self.falls, _DOUBLINGS_MAX))

    def explorable_us(self, now_us: int, config: BalancerConfig, *, is_cheaper: bool) -> int | None:
        """When it may be asked in order to measure it, `now_us` if that is now; None: not while it is busy, or never.

        So long after it was measured, or explored in vain, last; one that would save money, sooner.
        """
        if self.weight <= 0 or self.running_count:
            return None
        after_us = config.explore_after_us
        if is_cheaper:
            after_us = min(after_us, config.retry_cheaper_us << min(self.falls, _DOUBLINGS_MAX))
        seen_us = [t for t in (self.estimate.sampled_us, self.explored_us) if t is not None]
        return max(now_us, max(seen_us) + after_us) if seen_us else now_us

    def score(
        self, byte_count: int, now_us: int, config: BalancerConfig, most_bytes_per_s: float | None = None
    ) -> float:
        expected_us = self.expected_us(byte_count, now_us, config, most_bytes_per_s)
        if self.circuit.is_broken:
            expected_us += config.first_byte_limit_us  # what it costs if it still fails
        speed = byte_count * 1_000_000 / max(1, expected_us)
        return self.weight * speed * (1.0 - self.estimate.error_rate(now_us))


def best_cdn(
    ready: Sequence[Cdn],
    byte_count: int,
    *,
    may_explore: bool,
    fails_over: bool = False,
    now_us: int,
    seed: int,
    config: BalancerConfig,
    slack_us: int | None = None,
    line_bytes_per_s: float | None = None,
    duration_us: int = 0,
) -> tuple[Cdn, bool] | None:
    """Which of the ready ones to ask for `byte_count` bytes, and whether it is asked in order to measure it.

    Of those that are surely in time, when it plays in `slack_us`, only the cheapest count,
    if it is also fast enough to go on so: about as fast as the fastest, or using half of
    the `duration_us` that it plays.
    """
    if not ready:
        return None
    if len(ready) == 1:
        return ready[0], False
    first = min(cdn.priority for cdn in ready)
    ready = [cdn for cdn in ready if cdn.priority == first]
    current = max(ready, key=lambda cdn: cdn.last_used)
    most_bytes_per_s = None if line_bytes_per_s is None else LINE_HOPE * line_bytes_per_s

    def order(cdn: Cdn) -> tuple[float, float, int, int]:
        score = cdn.score(byte_count, now_us, config, most_bytes_per_s)
        if cdn is current and cdn.last_used:
            score /= config.switch_gain
        return (-score, cdn.price, cdn.transfer_count, mix(seed, cdn.place))

    candidates = ready
    if len({cdn.price for cdn in ready}) > 1:
        sure = [cdn for cdn in ready if slack_us is not None and cdn.is_sure(byte_count, slack_us, now_us, config)]
        candidates = _cheapest_enough(
            sure, byte_count, duration_us, line_bytes_per_s, now_us=now_us, config=config
        ) or _cheapest_as_good(ready, order, config)
    best = min(candidates, key=order)
    if may_explore and best.estimate.sampled_us is not None:
        for cdn in sorted(ready, key=lambda cdn: cdn.price):
            if cdn is best or cdn.price > best.price or (fails_over and cdn.price == best.price):
                continue
            if cdn.explorable_us(now_us, config, is_cheaper=cdn.price < best.price) == now_us:
                return cdn, True
    return best, False


def cheaper_again_us(cdns: Iterable[Cdn], chosen: Cdn, want: Want, now_us: int, config: BalancerConfig) -> int | None:
    """When a cheaper one than the chosen, that was well before, may be asked for it again; None: there is none."""
    times = []
    for cdn in cdns:
        if cdn.price >= chosen.price or cdn.priority > chosen.priority or not cdn.estimate.good_count:
            continue
        ready_us = cdn.ready_us(want, now_us)
        explorable_us = cdn.explorable_us(now_us, config, is_cheaper=True)
        if ready_us is not None and explorable_us is not None:
            times.append(max(ready_us, explorable_us))
    return min(times, default=None)


def _cheapest_enough(
    sure: Sequence[Cdn],
    byte_count: int,
    duration_us: int,
    line_bytes_per_s: float | None,
    *,
    now_us: int,
    config: BalancerConfig,
) -> list[Cdn]:
    """The cheapest of those that are about as fast as the fastest, or need only a part of the time that it plays."""
    needed_us = {}
    for cdn in sure:
        rates = [r for r in (cdn.estimate.bytes_per_s, line_bytes_per_s) if r is not None]
        needed_us[cdn.label] = cdn.expected_us(byte_count, now_us, config, min(rates, default=None))
    most_us = max(min(needed_us.values(), default=0) / config.move_gain, config.busy_share * duration_us)
    enough = [cdn for cdn in sure if needed_us[cdn.label] <= most_us]
    least = min((cdn.price for cdn in enough), default=0.0)
    return [cdn for cdn in enough if cdn.price == least]


def _cheapest_as_good(
    ready: Sequence[Cdn], order: Callable[[Cdn], tuple[float, float, int, int]], config: BalancerConfig
) -> list[Cdn]:
    """The cheapest of those that are about as good as the best: on a slow line they all are."""
    scores = [(-order(cdn)[0], cdn) for cdn in ready]
    least = config.move_gain * max(score for score, _ in scores)
    as_good = [cdn for score, cdn in scores if score >= least]
    price = min(cdn.price for cdn in as_good)
    return [cdn for cdn in as_good if cdn.price == price]
