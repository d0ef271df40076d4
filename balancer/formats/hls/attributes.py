"""Attribute lists and the values in them (RFC 8216, 4.2).

    #EXT-X-STREAM-INF:BANDWIDTH=1280000,CODECS="avc1.42c01e,mp4a.40.2",RESOLUTION=640x360

Every attribute keeps its place in the line, so that a rewriter can replace a
value and leave the rest as it was.  Strict on what changes a meaning: a name
twice, an open quote, a number that is none.  Blanks around a comma, which the RFC
forbids and packagers write, are let through.

The functions below the class read single values; each raises PlaylistMalformed
with the value and what it should be.  All are linear in the length of the line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import NoReturn

import msgspec

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge
from shoal.balancer.model import ByteRange

from .tokenizer import BLANKS, Limits, Line, shorten

__all__ = [
    "Attribute",
    "AttributeList",
    "Resolution",
    "byte_range",
    "date_time_us",
    "decimal_integer",
    "duration_us",
    "moment_us",
    "without",
]

INTEGER_MAX = 2**64 - 1  # decimal-integer, 4.2
OFFSET_MAX = 2**63 - 1  # the end of a range must fit a file system

# Possessive, so that no input makes the matcher go back over it.
_ATTRIBUTE = re.compile(r'[ \t]*+([A-Z0-9-]++)[ \t]*+=[ \t]*+(?:"([^"]*+)"|([^", \t]++))[ \t]*+(,|\Z)')
_INTEGER = re.compile(r"[0-9]{1,20}")
_FLOAT = re.compile(r"(-?)([0-9]{1,20})(?:\.([0-9]{0,30}))?|(-?)()\.([0-9]{1,30})")
_RESOLUTION = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")
_BYTE_RANGE = re.compile(r"([0-9]{1,20})(?:@([0-9]{1,20}))?")
_HEXADECIMAL = re.compile(r"0[xX][0-9A-Fa-f]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Resolution(msgspec.Struct, frozen=True, order=True):
    width: int
    height: int


class Attribute(msgspec.Struct, frozen=True):
    """One attribute; `line.text[start:stop]` is its value without quotes."""

    name: str
    value: str
    is_quoted: bool
    start: int
    stop: int


class AttributeList:
    """The attributes of one tag.  A getter gives None for an absent name, and raises for a value of another type."""

    __slots__ = ("_attributes", "line")

    def __init__(self, line: Line, limits: Limits) -> None:
        self.line = line
        self._attributes: dict[str, Attribute] = {}
        text, position = line.text.rstrip(BLANKS), line.value_start
        comma = ","
        while comma:
            match = _ATTRIBUTE.match(text, position)
            if match is None:
                self.fail(f"no NAME=VALUE at {shorten(text[position:], 40)}; quote what has blanks or commas in it")
            name, _, plain, comma = match.groups()
            if name in self._attributes:
                self.fail(f"{name} appears twice; remove one")
            if len(self._attributes) == limits.attributes_max:
                raise PlaylistTooLarge(
                    f"{line.name} has too many attributes; raise attributes_max above {limits.attributes_max}",
                    line=line.number,
                )
            group = 2 if plain is None else 3
            self._attributes[name] = Attribute(name, match[group], plain is None, match.start(group), match.end(group))
            position = match.end()

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self._attributes.values())

    def __contains__(self, name: str) -> bool:
        return name in self._attributes

    def __getitem__(self, name: str) -> Attribute:
        """The attribute `name`; PlaylistMalformed if the tag must have it and does not."""
        if name not in self._attributes:
            self.fail(f"has no {name}, which it must have")
        return self._attributes[name]

    def fail(self, message: str) -> NoReturn:
        raise PlaylistMalformed(f"{self.line.name}: {message}", line=self.line.number)

    def text(self, name: str) -> str | None:
        """A quoted-string."""
        attribute = self._attributes.get(name)
        if attribute is None:
            return None
        if not attribute.is_quoted:
            self.fail(f"{name} is {shorten(attribute.value)} without quotes; write it in quotes")
        return attribute.value

    def required_text(self, name: str) -> str:
        assert self[name]
        value = self.text(name)
        assert value is not None
        return value

    def word(self, name: str) -> str | None:
        """An enumerated-string."""
        attribute = self._attributes.get(name)
        if attribute is None:
            return None
        if attribute.is_quoted:
            self.fail(f"{name} is {shorten(attribute.value)} in quotes; write it without")
        return attribute.value

    def text_or_word(self, name: str) -> str | None:
        """Either, for the one attribute that is defined as both (CLOSED-CAPTIONS)."""
        attribute = self._attributes.get(name)
        return None if attribute is None else attribute.value

    def flag(self, name: str) -> bool:
        """YES or NO; absent is NO."""
        value = self.word(name)
        if value not in {None, "YES", "NO"}:
            self.fail(f"{name} is {shorten(str(value))}; write YES or NO")
        return value == "YES"

    def integer(self, name: str) -> int | None:
        value = self.word(name)
        return None if value is None else decimal_integer(value, self.line, name)

    def number(self, name: str) -> float | None:
        value = self.word(name)
        return None if value is None else duration_us(value, self.line, name, signed=True) / 1_000_000

    def resolution(self, name: str) -> Resolution | None:
        value = self.word(name)
        if value is None:
            return None
        if not (match := _RESOLUTION.fullmatch(value)):
            self.fail(f"{name} is {shorten(value)}; write it as 1920x1080")
        return Resolution(int(match[1]), int(match[2]))

    def hexadecimal(self, name: str, *, digits_max: int) -> str | None:
        value = self.word(name)
        if value is not None and (not _HEXADECIMAL.fullmatch(value) or len(value) > digits_max + 2):
            self.fail(f"{name} is {shorten(value)}; write 0x and at most {digits_max} hexadecimal digits")
        return value


def without(line: Line, names: Collection[str], limits: Limits) -> str | None:
    """The text of `line` without these attributes, else as it was; None if none is left."""
    attributes = list(AttributeList(line, limits))
    if all(attribute.name not in names for attribute in attributes):
        return line.text
    pieces = [
        line.text[attribute.start - attribute.is_quoted : attribute.stop + attribute.is_quoted]
        for attribute in attributes
    ]
    kept = [
        f"{attribute.name}={piece}"
        for attribute, piece in zip(attributes, pieces, strict=True)
        if attribute.name not in names
    ]
    return f"#{line.name}:{','.join(kept)}" if kept else None


def _fail(line: Line, what: str, value: str, wanted: str) -> NoReturn:
    subject = line.name if what == line.name else f"{line.name}: {what}"
    raise PlaylistMalformed(f"{subject} is {shorten(value)}; {wanted}", line=line.number)


def decimal_integer(value: str, line: Line, what: str) -> int:
    """A decimal-integer: 0 to 2^64-1."""
    if not _INTEGER.fullmatch(value) or int(value) > INTEGER_MAX:
        _fail(line, what, value, "write a whole number from 0 to 2^64-1")
    return int(value)


def duration_us(value: str, line: Line, what: str, *, signed: bool = False) -> int:
    """A decimal-floating-point number of seconds in microseconds, rounded; exact, since a float would drift."""
    match = _FLOAT.fullmatch(value)
    if match is None:
        _fail(line, what, value, "write a number such as 6 or 5.972")
    minus, whole, part = match[1] or match[4], match[2] or "0", match[3] or match[6] or ""
    if minus and not signed:
        _fail(line, what, value, "it cannot be negative (lists of channels write -1; they are not HLS)")
    digits = f"{part:0<7}"[:7]
    microseconds = int(whole) * 1_000_000 + (int(digits) + 5) // 10
    return -microseconds if minus else microseconds


def byte_range(value: str, line: Line, what: str) -> tuple[int, int | None]:
    """`n[@o]` (4.3.2.2) as length and offset; offset None where the playlist leaves it out."""
    match = _BYTE_RANGE.fullmatch(value)
    if match is None:
        _fail(line, what, value, "write LENGTH or LENGTH@OFFSET")
    length, offset = int(match[1]), None if match[2] is None else int(match[2])
    if length == 0:
        _fail(line, what, value, "a range of no bytes cannot be asked for")
    if (offset or 0) + length > OFFSET_MAX:
        _fail(line, what, value, "it ends above 2^63-1")
    return length, offset


def closed_byte_range(value: str, line: Line, what: str) -> ByteRange:
    """`n[@o]` where a missing offset is 0: of an initialization section, which begins its file."""
    length, offset = byte_range(value, line, what)
    return ByteRange(offset or 0, length)


def date_time_us(value: str, line: Line) -> int:
    """An ISO 8601 date and time in microseconds since 1970; without a zone, which 4.3.2.6 advises to write, UTC."""
    try:
        return moment_us(value)
    except (ValueError, OverflowError):
        _fail(line, line.name, value, "write it as 2010-02-19T14:54:23.031+08:00")


def moment_us(value: str) -> int:
    """The same of what is known to be one; ValueError or OverflowError if it is not."""
    moment = datetime.fromisoformat(value)
    since = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) - _EPOCH
    return 86_400_000_000 * since.days + 1_000_000 * since.seconds + since.microseconds
