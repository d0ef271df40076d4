"""Attribute values of an MPD: what the schema's types say, as integers where they are times.

Durations and dates are microseconds, rounded down; ticks stay ticks.  Each function
takes the text, and an element and a name for the message.  Section numbers are those
of ISO/IEC 23009-1.
"""

from __future__ import annotations

import datetime as dt
import re
from fractions import Fraction
from urllib.parse import urljoin, urlsplit

from shoal.balancer.errors import PlaylistError, PlaylistMalformed, PlaylistTooLarge, PlaylistUnsupported
from shoal.balancer.model import ByteRange
from shoal.balancer.uris import encoded

from .limits import Limits
from .xml import Element, shorten

__all__ = ["Reader", "date_of", "date_us", "resolve"]

_S = 1_000_000
# xs:duration.  A year and a month have no length; players take 365 and 30 days.
_DURATION = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,6})D)?(?:T(?:(\d{1,8})H)?(?:(\d{1,9})M)?(?:(\d{1,11})(?:\.(\d{1,18}))?S)?)?",
    re.ASCII,
)
_UNITS_S = (365 * 86_400, 30 * 86_400, 86_400, 3_600, 60, 1)
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,18}))?(Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_UNSIGNED = re.compile(r"\+?(\d{1,20})", re.ASCII)
_SIGNED = re.compile(r"-?\d{1,20}", re.ASCII)
_DECIMAL = re.compile(r"([+-]?)(\d{0,12})(?:\.(\d{0,18}))?(?:[eE]([+-]?\d{1,2}))?", re.ASCII)
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)
_RATE = re.compile(r"(\d{1,9})(?:/(\d{1,9}))?|(\d{1,9})\.(\d{1,9})", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# What a date can be, with room for every zone.
_FIRST, _LAST = (dt.datetime(year, 1, 2, tzinfo=dt.UTC) - _EPOCH for year in (1, 9999))
_A_DATE = "a date and time like 2026-01-31T12:00:00Z"
UINT64_MAX = 2**64 - 1


def date_us(text: str) -> int | None:
    """xs:dateTime as microseconds since 1970; None: it is none. Without a zone it is UTC (DASH-IF)."""
    match = _DATE.fullmatch(text)
    if match is None or int(match[6]) > 60:  # 60 is a leap second
        return None
    try:
        year, month, day, hour, minute, second = map(int, match.groups()[:6])
        date = dt.datetime(year, month, day, hour, minute, min(second, 59), tzinfo=dt.UTC)
    except ValueError:
        return None
    zone_s = _zone_s(match[8])
    seconds = (date - _EPOCH) // dt.timedelta(seconds=1) + second // 60
    return (seconds - zone_s) * _S + _fraction_us(match[7])


def date_of(us: int) -> str:
    """The other way round, to milliseconds; beyond the years 1 to 9999 one of the first or the last."""
    one = dt.timedelta(microseconds=1)
    date = _EPOCH + one * min(max(us, _FIRST // one), _LAST // one)
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Reader:
    """The attributes of one element, some of them inherited: those of `elements`, the nearest first."""

    def __init__(self, limits: Limits, *elements: Element) -> None:
        self.limits = limits
        self.elements = elements

    @property
    def line(self) -> int:
        return self.elements[0].line

    def text(self, name: str) -> str | None:
        for element in self.elements:
            value = element.attributes.get(name)
            if value is not None:
                return value.strip(" \t\r\n")
        return None

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise PlaylistMalformed(f"{self.elements[0].name} has no {name}; the schema asks for it", line=self.line)
        return value

    def integer(self, name: str, default: int = 0) -> int:
        found = self.maybe_integer(name)
        return default if found is None else found

    def maybe_integer(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        match = _UNSIGNED.fullmatch(value)
        if match is None or int(match[1]) > UINT64_MAX:
            raise self._wrong(name, value, "an unsigned integer of 64 bits")
        return int(match[1])

    def signed(self, name: str, default: int = 0) -> int:
        value = self.text(name)
        if value is None:
            return default
        if not _SIGNED.fullmatch(value):
            raise self._wrong(name, value, "an integer")
        return int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.text(name)
        if value not in {None, "true", "false", "1", "0"}:
            raise self._wrong(name, str(value), "true or false")
        return default if value is None else value in {"true", "1"}

    def duration_us(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        match = _DURATION.fullmatch(value)
        if match is None or value in {"P", "PT"} or value.endswith("T"):
            raise self._wrong(name, value, "a duration like PT1H2M3.4S (and not negative)")
        seconds = sum(int(count) * unit for count, unit in zip(match.groups()[:6], _UNITS_S, strict=True) if count)
        return self._bounded(name, value, seconds * _S + _fraction_us(match[7]))

    def date_us(self, name: str) -> int | None:
        """As `date_us` of the attribute."""
        value = self.text(name)
        if value is None:
            return None
        found = date_us(value)
        if found is None:
            raise self._wrong(name, value, _A_DATE)
        return found

    def offset_us(self, name: str) -> int | None:
        """A decimal number of seconds, or INF (None stands for what is not there; INF is the longest duration)."""
        value = self.text(name)
        if value is None:
            return None
        if value == "INF":
            return self.limits.duration_us_max
        match = _DECIMAL.fullmatch(value)
        if match is None or not (match[2] or match[3]):
            raise self._wrong(name, value, "a number of seconds, or INF")
        us = int(Fraction(f"{match[1]}{match[2] or '0'}.{match[3] or '0'}e{match[4] or 0}") * _S)
        return self._bounded(name, value, us)

    def byte_range(self, name: str) -> ByteRange | None:
        """As in RFC 9110, 14.1.2, both ends given (5.3.9.2.2)."""
        value = self.text(name)
        if value is None:
            return None
        match = _RANGE.fullmatch(value)
        if match is None or int(match[2]) < int(match[1]):
            raise self._wrong(name, value, "a range of bytes like 0-99")
        return ByteRange(int(match[1]), int(match[2]) - int(match[1]) + 1)

    def rate(self, name: str) -> float | None:
        """A frame rate: 25, 30000/1001, and 29.97, which the schema forbids and packagers write."""
        value = self.text(name)
        if value is None:
            return None
        match = _RATE.fullmatch(value)
        if match is None or (match[2] is not None and not int(match[2])):
            raise self._wrong(name, value, "a frame rate like 25 or 30000/1001")
        return float(value) if match[1] is None else int(match[1]) / int(match[2] or 1)

    def _bounded(self, name: str, value: str, us: int) -> int:
        if abs(us) > self.limits.duration_us_max:
            raise PlaylistTooLarge(f"{name} is {shorten(value)}, which is over a century", line=self.line)
        return us

    def _wrong(self, name: str, value: str, right: str) -> PlaylistError:
        return PlaylistMalformed(f"{name} is {shorten(value)}; give {right}", line=self.line)


def _fraction_us(digits: str | None) -> int:
    return int((digits or "")[:6].ljust(6, "0"))


def _zone_s(zone: str | None) -> int:
    if zone in {None, "Z"}:
        return 0
    assert zone is not None
    return (1 if zone[0] == "+" else -1) * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)


def resolve(base: str, text: str, line: int) -> str:
    """`text` resolved against `base` (RFC 3986, 5.2); http and https only, since it is to be fetched.

    Blanks and what is not ASCII are percent-encoded, which is how browsers fetch them.
    """
    text = text.strip(" \t\r\n")
    if _CONTROL.search(text):
        raise PlaylistMalformed(f"URL {shorten(text)} has a control character; percent-encode it", line=line)
    try:
        url = urljoin(base, text)
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and " " not in parts.netloc
    except ValueError as error:
        raise PlaylistMalformed(f"URL {shorten(text)} cannot be read ({error})", line=line) from None
    if parts.scheme not in {"http", "https"}:
        raise PlaylistUnsupported(f"URL {shorten(text)} is of scheme {parts.scheme!r}; use http or https", line=line)
    if not is_whole:
        raise PlaylistMalformed(f"URL {shorten(text)} has no host; give one", line=line)
    return encoded(url)
