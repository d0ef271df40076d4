"""Recorded throughput: lines of `time_s Mbit/s`, each holding until the next.

`parse` reads a text, `Trace` says what a link carries at a moment.  A trace that is
over begins anew, as is usual for replaying them (Mao et al., SIGCOMM 2017).
"""

from __future__ import annotations

import bisect

import msgspec

__all__ = ["BadTrace", "Trace", "parse"]

_LINES_MAX = 1_000_000  # a day and more in tenths of a second
_BYTES_PER_S = 125_000.0  # of one Mbit/s


class BadTrace(ValueError):
    """A text that is no trace; the message has the line."""


class Trace(msgspec.Struct, frozen=True):
    """Capacities in bytes per second, from `times_us` on; the first time is 0."""

    times_us: tuple[int, ...]
    bytes_per_s: tuple[float, ...]
    length_us: int

    def at(self, time_us: int) -> float:
        """Capacity at a moment."""
        return self.bytes_per_s[bisect.bisect_right(self.times_us, time_us % self.length_us) - 1]

    def next_us(self, time_us: int) -> int:
        """The moment of the next line."""
        rounds, rest = divmod(time_us, self.length_us)
        place = bisect.bisect_right(self.times_us, rest)
        return rounds * self.length_us + (self.times_us[place] if place < len(self.times_us) else self.length_us)


def parse(text: str, *, name: str = "trace") -> Trace:
    """A trace from the text of a file.  Raises BadTrace, with the line, for anything that is none."""
    rows: list[tuple[float, float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        if len(rows) >= _LINES_MAX:
            raise BadTrace(f"{name}: more than {_LINES_MAX} lines; cut it")
        try:
            time_s, megabits = (float(word) for word in line.split())
        except ValueError:
            raise BadTrace(f"{name}:{number}: {line[:60]!r} is not two numbers, `time_s Mbit/s`") from None
        if not (0.0 <= time_s < 1e7 and 0.0 <= megabits < 1e6):
            raise BadTrace(f"{name}:{number}: {line[:60]!r} is out of range: 0 to 1e7 s, 0 to 1e6 Mbit/s")
        if rows and time_s <= rows[-1][0]:
            raise BadTrace(f"{name}:{number}: time {time_s} is not after {rows[-1][0]}; sort the lines")
        rows.append((time_s, megabits))
    if not rows:
        raise BadTrace(f"{name}: it has no line; each is `time_s Mbit/s`")
    start_s = rows[0][0]
    times_us = [int((time_s - start_s) * 1_000_000) for time_s, _ in rows]
    last_us = times_us[-1] - times_us[-2] if len(times_us) > 1 else 1_000_000
    rates = tuple(megabits * _BYTES_PER_S for _, megabits in rows)
    return Trace(tuple(times_us), rates, times_us[-1] + max(1, last_us))
