"""Figures over seeds: means with their 95 % intervals, and one policy against another seed by seed.

Two policies that play the same seed see the same viewers, lines and faults, so that
their difference, seed by seed, says far more than the difference of two means
(paired differences; Student's t, which is right for means of few runs).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from .outcome import Outcome

__all__ = ["FIGURES", "Comparison", "Figure", "Interval", "compare", "interval", "paired"]

# Quantiles of Student's t for 95 %, two-sided, by degrees of freedom; beyond the last, of the normal distribution.
_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131),
    *(2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
_T_BEYOND = 1.960


class Figure(msgspec.Struct, frozen=True):
    """A column: which key of `Outcome.figures`, what it is divided by, and whether more of it is better."""

    key: str
    title: str
    unit: str = ""
    scale: float = 1.0
    digits: int = 2
    more_is_better: bool = False


FIGURES = (
    Figure("offload", "from", "peers", digits=3, more_is_better=True),
    Figure("stall_s", "stall", "s"),
    Figure("startup_s", "start-up", "s"),
    Figure("never_started", "never", "seen", digits=0),
    Figure("bitrate", "bitrate", "Mbit/s", 1e6, more_is_better=True),
    Figure("cost_per_gb", "cost", "per GB"),
    Figure("wasted", "wasted", digits=3),
    Figure("wrong_bytes", "wrong", "MB", 1e6),
    Figure("cdn_peak_bytes_per_s", "CDN peak", "MB/s", 1e6, 1),
)


class Interval(msgspec.Struct, frozen=True):
    """A mean and the half width of its 95 % interval; None for a single value, which has none."""

    mean: float
    half: float | None

    @property
    def is_below_zero(self) -> bool:
        """Surely, at 95 %."""
        return self.half is not None and self.mean + self.half < 0.0

    @property
    def is_above_zero(self) -> bool:
        """Surely, at 95 %."""
        return self.half is not None and self.mean - self.half > 0.0


def interval(values: Sequence[float]) -> Interval:
    """The mean of independent values.  Exactly equal ones have an interval of no width.  ValueError for none."""
    count = len(values)
    if count == 0:
        raise ValueError("there is no mean of no values; run at least one seed")
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, None)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    quantile = _T[count - 2] if count - 2 < len(_T) else _T_BEYOND
    return Interval(mean, quantile * math.sqrt(variance / count))


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Ours minus theirs; both in the order of the same seeds.  ValueError where they cannot be."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} values against {len(theirs)}: they are not of the same seeds")
    return interval([mine - other for mine, other in zip(ours, theirs, strict=True)])


class Comparison(msgspec.Struct, frozen=True):
    """Of one policy over all seeds: its figures, and the first policy's minus its own, by `Figure.key`."""

    policy: str
    seeds: int
    figures: dict[str, Interval]
    difference: dict[str, Interval]  # empty for the first policy


def compare(outcomes: Sequence[Outcome]) -> list[Comparison]:
    """One for each policy, in the order in which they first come.  ValueError if they did not play the same seeds."""
    by_policy: dict[str, dict[int, dict[str, float]]] = {}
    for outcome in outcomes:
        by_policy.setdefault(outcome.policy, {})[outcome.seed] = outcome.figures()
    found: list[Comparison] = []
    first: dict[int, dict[str, float]] | None = None
    for policy, by_seed in by_policy.items():
        if first is not None and list(first) != list(by_seed):
            raise ValueError(f"{policy} played the seeds {list(by_seed)[:20]}, and the first {list(first)[:20]}")
        figures = {f.key: interval([by_seed[seed][f.key] for seed in by_seed]) for f in FIGURES}
        difference = {}
        if first is not None:
            for figure in FIGURES:
                mine = [first[seed][figure.key] for seed in first]
                difference[figure.key] = paired(mine, [by_seed[seed][figure.key] for seed in by_seed])
        found.append(Comparison(policy, len(by_seed), figures, difference))
        first = first or by_seed
    return found
