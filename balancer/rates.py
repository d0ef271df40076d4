"""How often something may happen: a token bucket on the caller's clock.

Whole arithmetic, so that virtual time and real time agree to the microsecond.
"""

from __future__ import annotations

__all__ = ["Pace", "Rate"]


class Rate:
    """Allows `burst` at once and `per_second` after that (GCRA, ITU-T I.371)."""

    __slots__ = ("_free_at_us", "_interval_us", "_slack_us")

    def __init__(self, per_second: int, burst: int) -> None:
        if not (1 <= per_second <= 1_000_000 and burst >= 1):
            raise ValueError(f"a rate of {per_second} per second with a burst of {burst}; both are 1 or more")
        self._interval_us = 1_000_000 // per_second
        self._slack_us = self._interval_us * (burst - 1)
        self._free_at_us: int | None = None  # when the bucket would be full again

    def allows(self, now_us: int, count: int = 1) -> bool:
        """Count one more, or what weighs as much as `count`, unless there are too many; then nothing is counted."""
        free_at_us = now_us if self._free_at_us is None else max(self._free_at_us, now_us)
        if free_at_us - now_us > self._slack_us:
            return False
        self._free_at_us = free_at_us + self._interval_us * count
        return True

    def take(self, now_us: int, count: int = 1) -> int:
        """Count in any case; the answer is how long to wait until one more would be allowed, 0 for not at all."""
        self._free_at_us = (now_us if self._free_at_us is None else max(self._free_at_us, now_us)) + (
            self._interval_us * count
        )
        return max(0, self._free_at_us - now_us - self._slack_us)


class Pace:
    """Spreads bytes over time: all that was let through never exceeds `bytes_per_s`, but for one piece."""

    __slots__ = ("_bytes_per_s", "_free_at_us")

    def __init__(self, bytes_per_s: int) -> None:
        if bytes_per_s < 1:
            raise ValueError(f"a pace of {bytes_per_s} bytes per second; it is 1 or more")
        self._bytes_per_s = bytes_per_s
        self._free_at_us = 0

    def delay_us(self, byte_count: int, now_us: int) -> int:
        """After how long `byte_count` bytes may go; they are counted as sent then."""
        begins_us = max(now_us, self._free_at_us)
        self._free_at_us = begins_us + byte_count * 1_000_000 // self._bytes_per_s
        return begins_us - now_us

    def behind_us(self, now_us: int) -> int:
        """How long whoever asks now would have to wait."""
        return max(0, self._free_at_us - now_us)

    def give_back(self, byte_count: int) -> None:
        """So many of the bytes that were counted did not go; whoever asks next goes sooner."""
        self._free_at_us -= byte_count * 1_000_000 // self._bytes_per_s
