"""What came, told to a sender whose library shows it no acknowledgements: without them it has no credit window.

A native engine paces itself by loss: it fills the queue of a line before it backs off, and what is urgent waits
behind that.  Two sides agree in their descriptions, by an attribute that everybody else passes over (RFC 8866, 5.13):

    a=x-shoal-reports:wanted     tell me what came of mine; and I tell you, if you want it
    a=x-shoal-reports:given      I tell you, if you want it

Then the one that gives them says on the channel, in text, where all else is binary, how many bytes of messages have
come in all, each time that it were REPORT_BYTES more:

    receiver    Arrivals.came(byte_count)              the report to send now, or None
    sender      Departures.sent(byte_count, now_us)    handed to the library
                Departures.reported(text, now_us)      the round trip in microseconds; BadReport

Of the acknowledgements below the channel one thing is said, by the side that sends as it means:

    a=x-shoal-acknowledgements:grouped      I let as many packets go as one is for; so one for many will do
"""

from __future__ import annotations

from collections import deque

__all__ = ["REPORT_BYTES", "Arrivals", "BadReport", "Departures", "Reports", "reports_of", "with_reports"]

# A quarter of the smallest credit window, so that what is not reported yet never holds the next message up.
REPORT_BYTES = 16 * 1024
_ATTRIBUTE = "a=x-shoal-reports:"
_GROUPED = "a=x-shoal-acknowledgements:grouped"
_DIGITS_MAX = 18  # an exabyte; int() of what a stranger sends must not take long
_MARK_BYTES = 8 * 1024  # messages that leave within so much share one time, so that small ones cost no memory each


class BadReport(Exception):
    """The other side's mistake: a report that says more than left here, nothing new, or nothing that we can read."""


class Reports:
    """What one side of a connection says of reports and acknowledgements in its description."""

    def __init__(self, *, wanted: bool, given: bool, grouped: bool = False) -> None:
        self.wanted = wanted
        self.given = given or wanted
        self.grouped = grouped


def with_reports(description: str, reports: Reports) -> str:
    """Our description with what we say of reports, in its only media section."""
    word = "wanted" if reports.wanted else "given" if reports.given else None
    said = [] if word is None else [f"{_ATTRIBUTE}{word}"]
    said += [_GROUPED] if reports.grouped else []
    return description + "".join(f"{line}\r\n" for line in said)


def reports_of(description: str) -> Reports:
    """What a description says of reports; a word that we do not know says nothing."""
    lines = description.splitlines()
    words = {line.removeprefix(_ATTRIBUTE) for line in lines if line.startswith(_ATTRIBUTE)}
    return Reports(wanted="wanted" in words, given="given" in words, grouped=_GROUPED in lines)


class Arrivals:
    """At the receiver of one channel."""

    def __init__(self) -> None:
        self._came_bytes = 0
        self._reported_bytes = 0

    def came(self, byte_count: int) -> str | None:
        """Take in one message; the report that is due, or None."""
        self._came_bytes += byte_count
        if self._came_bytes - self._reported_bytes < REPORT_BYTES:
            return None
        self._reported_bytes = self._came_bytes
        return str(self._came_bytes)


class Departures:
    """At the sender of one channel.  At most one mark for each _MARK_BYTES under way is kept."""

    def __init__(self) -> None:
        self._sent_bytes = 0
        self._reported_bytes = 0
        self._marks: deque[tuple[int, int]] = deque()  # so many bytes had left, with the last message at that time
        self._mark_began_bytes = 0

    @property
    def in_flight_bytes(self) -> int:
        """Handed to the library and not reported."""
        return self._sent_bytes - self._reported_bytes

    def sent(self, byte_count: int, now_us: int) -> None:
        if byte_count == 0:
            return  # no report can tell it from the message before it, whose time it must not take
        if self._marks and self._sent_bytes - self._mark_began_bytes < _MARK_BYTES:
            self._marks.pop()
        else:
            self._mark_began_bytes = self._sent_bytes
        self._sent_bytes += byte_count
        self._marks.append((self._sent_bytes, now_us))

    def reported(self, text: str, now_us: int) -> int | None:
        """Take in a report: the round trip of the last message in it, None if it shares its time with later ones.

        Each must say of REPORT_BYTES more, so that a stranger cannot send more of them than we send messages for.
        """
        if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
            raise BadReport(f"a report must be a number of bytes, and is {text[:40]!r}")
        came_bytes = int(text)
        if came_bytes > self._sent_bytes:
            raise BadReport(f"a report says that {came_bytes} bytes came, and {self._sent_bytes} left")
        if came_bytes - self._reported_bytes < REPORT_BYTES:
            raise BadReport(f"a report of {came_bytes} bytes follows one of {self._reported_bytes}; too soon")
        self._reported_bytes = came_bytes
        left_us: int | None = None
        while self._marks and self._marks[0][0] <= came_bytes:
            left_us = self._marks.popleft()[1]
        return None if left_us is None else now_us - left_us
