"""What is known of one source's speed and reliability.

    sample(duration_us, byte_count)   a stretch of a body
    first_byte(duration_us)           from the request to its first byte
    took(duration_us, expected_us)    a whole transfer, and what was expected of it
    succeeded(now_us) / failed(now_us, reason)

Throughput is a pair of exponentially weighted averages, fast and slow, whose
samples weigh as long as they took (hls.js, utils/ewma-bandwidth-estimator.ts);
the lower one is believed, so that a drop counts at once and a rise must last.
Only + - * / and sqrt are used, so that every platform computes the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["Estimate", "half_life_decay", "total"]

_LN2 = 0.6931471805599453
_SAMPLE_US_MIN = 1_000  # a burst out of a local buffer took no time; below this it says nothing about the network
_FIRST_BYTE_WEIGHT = 0.3  # of the newest answer
_SPREAD_UNKNOWN = 0.5  # of the expected time, until a transfer has ended
_SPREAD_WEIGHT = 0.2  # of the newest transfer
_SPREAD_MAX = 4.0  # one outlier of an hour must not stand for ever
_FALLEN_LEFT = 0.9  # as if it had been measured for a second only (15 % of a half life)
_HALF_LIVES_MAX = 40  # beyond, nothing is left of a value


def half_life_decay(elapsed_us: int, half_life_us: int) -> float:
    """0.5 ** (elapsed / half life), to about 1e-6, without a library function."""
    if elapsed_us <= 0:
        return 1.0
    whole = elapsed_us // half_life_us
    if whole > _HALF_LIVES_MAX:
        return 0.0
    x = _LN2 * (elapsed_us - whole * half_life_us) / half_life_us
    series = 1.0 + x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0)))))
    power = 1
    return 1.0 / (series * (power << whole))


def total(values: Iterable[float]) -> float:
    """Added one after the other; the built-in `sum` of Python 3.12 and later rounds floats otherwise than 3.11's."""
    added = 0.0
    for value in values:
        added += value
    return added


class _Average:
    """One exponentially weighted average, corrected for its start at zero."""

    __slots__ = ("half_life_us", "left", "value")

    def __init__(self, half_life_us: int) -> None:
        self.half_life_us = half_life_us
        self.value = 0.0
        self.left = 1.0  # share that the initial zero still has

    def sample(self, weight_us: int, value: float) -> None:
        keep = half_life_decay(weight_us, self.half_life_us)
        self.value = keep * self.value + (1.0 - keep) * value
        self.left *= keep

    def corrected(self) -> float:
        return self.value / (1.0 - self.left) if self.left < 1.0 else 0.0


class Estimate:
    """Speed and reliability of one source."""

    __slots__ = (
        "_error_half_life_us",
        "_error_weight",
        "_fast",
        "_good_weight",
        "_slow",
        "_variance",
        "_weighed_us",
        "bytes_per_s",
        "error_count",
        "errors",
        "first_byte_us",
        "good_count",
        "sampled_us",
        "spread",
    )

    def __init__(self, *, fast_half_life_us: int, slow_half_life_us: int, error_half_life_us: int) -> None:
        self._fast = _Average(fast_half_life_us)
        self._slow = _Average(slow_half_life_us)
        self._error_half_life_us = error_half_life_us
        self._error_weight = 0.0
        self._good_weight = 0.0
        self._weighed_us = 0
        self.first_byte_us: float | None = None
        self.sampled_us: int | None = None  # clock time of the newest throughput sample
        self.error_count = 0
        self.errors: dict[str, int] = {}
        self.good_count = 0
        self._variance = _SPREAD_UNKNOWN * _SPREAD_UNKNOWN
        # Asked far more often than measured: computed when it changes.
        self.bytes_per_s: float | None = None  # None until the first sample
        # Root mean square of how late transfers were, as a share of what was expected; early is not late.
        self.spread = math.sqrt(self._variance)

    def sample(self, duration_us: int, byte_count: int, now_us: int) -> None:
        """`byte_count` bytes came within `duration_us` of waiting for them."""
        duration_us = max(_SAMPLE_US_MIN, duration_us)
        rate = byte_count * 1_000_000 / duration_us
        self._fast.sample(duration_us, rate)
        self._slow.sample(duration_us, rate)
        self.sampled_us = now_us
        self.bytes_per_s = min(self._fast.corrected(), self._slow.corrected())

    def fell_to(self, bytes_per_s: float) -> None:
        """It was left because it became so slow: what was good before is not believed until it is seen again.

        Then it is soon: what came before weighs little.
        """
        for average in (self._fast, self._slow):
            fallen = min(average.corrected(), bytes_per_s)
            average.left = max(average.left, _FALLEN_LEFT)
            average.value = fallen * (1.0 - average.left)
        if self.sampled_us is not None:
            self.bytes_per_s = min(self._fast.corrected(), self._slow.corrected())

    def first_byte(self, duration_us: int) -> None:
        if self.first_byte_us is None:
            self.first_byte_us = float(duration_us)
        else:
            self.first_byte_us += _FIRST_BYTE_WEIGHT * (duration_us - self.first_byte_us)

    def took(self, duration_us: int, expected_us: int) -> None:
        """A transfer ended well after `duration_us`; `expected_us` had been expected of it."""
        late = min(_SPREAD_MAX, max(0.0, duration_us / max(1, expected_us) - 1.0))
        self._variance += _SPREAD_WEIGHT * (late * late - self._variance)
        self.spread = math.sqrt(self._variance)

    def succeeded(self, now_us: int) -> None:
        self._decay(now_us)
        self._good_weight += 1.0
        self.good_count += 1

    def failed(self, now_us: int, reason: str) -> None:
        self._decay(now_us)
        self._error_weight += 1.0
        self.error_count += 1
        self.errors[reason] = self.errors.get(reason, 0) + 1

    def error_rate(self, now_us: int) -> float:
        """Between 0 and 1; with nothing known, 0.  One success is assumed, so that one failure is not everything."""
        keep = half_life_decay(now_us - self._weighed_us, self._error_half_life_us)
        errors = keep * self._error_weight
        return errors / (errors + keep * self._good_weight + 1.0)

    def believed_bytes_per_s(self, now_us: int, bytes_per_s: float, half_life_us: int) -> float:
        """The throughput, drawn towards `bytes_per_s` the longer ago it was measured.

        So one that was bad is tried again some time, and one that was good is not for ever.
        """
        if self.bytes_per_s is None or self.sampled_us is None:
            return bytes_per_s
        rate, sampled_us = self.bytes_per_s, self.sampled_us
        keep = half_life_decay(now_us - sampled_us, half_life_us)
        return keep * rate + (1.0 - keep) * bytes_per_s

    def expected_us(  # noqa: PLR0917, a C method has no keyword-only arguments
        self,
        byte_count: int,
        now_us: int,
        bytes_per_s: float,
        first_byte_us: float,
        half_life_us: int,
        most_bytes_per_s: float = math.inf,
    ) -> int:
        """How long `byte_count` bytes should take, which come no faster than `most_bytes_per_s`.

        `bytes_per_s` and `first_byte_us` stand in for what was not measured, or long ago.
        """
        rate = min(most_bytes_per_s, self.believed_bytes_per_s(now_us, bytes_per_s, half_life_us))
        start_us = first_byte_us if self.first_byte_us is None else self.first_byte_us
        return int(start_us + byte_count * 1_000_000 / max(1.0, rate))

    def _decay(self, now_us: int) -> None:
        keep = half_life_decay(now_us - self._weighed_us, self._error_half_life_us)
        self._error_weight *= keep
        self._good_weight *= keep
        self._weighed_us = now_us
