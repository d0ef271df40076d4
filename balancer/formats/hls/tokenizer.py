"""Bytes of a playlist to lines (RFC 8216, 4.1).

Promises: every byte of an accepted playlist is in exactly one line's text or
ending, so that joining them gives it back; nothing but PlaylistError is raised,
whatever the bytes; time and memory are linear in the size.

Accepted: UTF-8, LF or CR LF, a last line without ending.  Refused, as the RFC
demands: a byte order mark (players refuse it after us anyhow), other encodings,
control characters, a CR alone, a first line other than #EXTM3U.  Two things that the
RFC forbids too are let through, since every player accepts them: blanks at either end
of a line, and tabs, which Apple's own segmenter wrote after the comma of EXTINF.

Left to others: what tags mean (`parser.py`), attribute lists (`attributes.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from shoal.balancer.errors import NotAPlaylist, PlaylistMalformed, PlaylistTooLarge

from .sniff import what_instead

__all__ = ["BLANKS", "Limits", "Line", "join", "line_of", "lines_of", "read", "shorten", "tokenize"]


BLANKS = " \t"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a playlist is read before it is refused.  Each is on by default."""

    playlist_bytes_max: int = 2 * 1024 * 1024  # 20,000 segments at 100 bytes each
    lines_max: int = 200_000  # ten to a segment; a playlist of line feeds would make 2 million lines
    line_chars_max: int = 64 * 1024  # a signed URL has a few KiB, a licence box in a data: URI some tens
    attributes_max: int = 64  # the richest tag of the draft has about 25
    segments_max: int = 20_000  # 11 hours of 2 s segments
    parts_max: int = 20_000  # of low latency; a window of three target durations has 100
    streams_max: int = 1_000  # variants, renditions and I-frame streams together
    variables_max: int = 256  # EXT-X-DEFINE
    keys_max: int = 64  # in force at once; there is one per DRM system
    duration_us_max: int = 24 * 3600 * 1_000_000  # of one segment


class Line(msgspec.Struct, frozen=True):
    """One line.  `text + ending` is what the playlist says there."""

    number: int  # counts from 1
    text: str
    ending: str = "\n"  # "\n", "\r\n", or "" at the end of the playlist
    name: str = ""  # of a tag, without '#' and value: "EXT-X-KEY"; "" unless it is a tag

    @property
    def value(self) -> str:
        """What follows the colon of a tag, without blanks at its ends; "" if nothing does."""
        return self.text[self.value_start :].strip(BLANKS)

    @property
    def value_start(self) -> int:
        """Where the value begins in `text`."""
        return min(len(self.name) + 2, len(self.text))

    @property
    def is_uri(self) -> bool:
        """Whether it is neither tag, comment nor blank."""
        return not self.text.startswith("#") and bool(self.text.strip(BLANKS))


# U+0000..1F and U+007F..9F (4.1) without tab and LF, and CR where no LF follows.
_PLAIN = bytes([*b"\t\n", *range(0x20, 0x7F)])  # what is none of it: a playlist of nothing else needs no search
_PIECE_BYTES = 64 * 1024
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")


def shorten(value: str, chars_max: int = 80) -> str:
    """`value` quoted for a message, with the middle left out when it is long."""
    if len(value) > chars_max:
        half = chars_max // 2
        return f"{value[:half]!r}...{value[-half // 2 :]!r} ({len(value)} characters)"
    return repr(value)


def tokenize(data: bytes, limits: Limits | None = None) -> list[Line]:
    """The lines of a playlist, in order; the first is #EXTM3U.

    Raises NotAPlaylist, PlaylistTooLarge or PlaylistMalformed.  Linear in len(data).
    """
    limits = limits or Limits()
    return [line_of(number, whole, limits) for number, whole in enumerate(_split(read(data, limits)), 1)]


def lines_of(data: bytes, number: int, limits: Limits) -> list[Line]:
    """The lines of what follows in a playlist; the first one is line `number`.  Raises as `tokenize`."""
    return [line_of(place, whole, limits) for place, whole in enumerate(_split(_decode(data)), number)]


def read(data: bytes, limits: Limits) -> str:
    """The text of a playlist, with no more lines than allowed and no forbidden character.  Raises as `tokenize`."""
    if len(data) > limits.playlist_bytes_max:
        raise PlaylistTooLarge(
            f"has {len(data)} bytes, {limits.playlist_bytes_max} are allowed; "
            "is it a playlist?  Raise playlist_bytes_max if so"
        )
    if not re.match(rb"#EXTM3U[ \t]*(?:\r?\n|\Z)", data):
        what, then = what_instead(data)
        raise NotAPlaylist(f"{what}; {then}", line=1)
    text = _decode(data)
    line_count = text.count("\n") + 1
    if line_count > limits.lines_max:
        raise PlaylistTooLarge(f"has {line_count} lines; raise lines_max above {limits.lines_max}")
    return text


def join(lines: Sequence[Line]) -> bytes:
    """The playlist that these lines are; gives tokenize's input back."""
    return "".join([part for line in lines for part in (line.text, line.ending)]).encode()


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PlaylistMalformed(
            f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8; save the playlist as UTF-8",
            line=data.count(b"\n", 0, error.start) + 1,
        ) from None
    if not _is_plain(data) and (found := _FORBIDDEN.search(text)):
        line = text.count("\n", 0, found.start()) + 1
        if found[0] == "\r":
            raise PlaylistMalformed("a CR without LF; end lines with LF or CR LF (RFC 8216, 4.1)", line=line)
        raise PlaylistMalformed(f"control character U+{ord(found[0]):04X}; remove it (RFC 8216, 4.1)", line=line)
    return text


def _is_plain(data: bytes) -> bool:
    """Piece by piece, since each is copied."""
    pieces = (data[begin : begin + _PIECE_BYTES] for begin in range(0, len(data), _PIECE_BYTES))
    return not any(piece.translate(None, _PLAIN) for piece in pieces)


def _split(text: str) -> list[str]:
    lines = text.split("\n")  # not splitlines(), which also splits at U+2028 and others
    whole = [f"{line}\n" for line in lines[:-1]]
    return [*whole, lines[-1]] if lines[-1] else whole


def line_of(number: int, whole: str, limits: Limits) -> Line:
    """One line with its ending."""
    text = whole.rstrip("\r\n")
    if len(text) > limits.line_chars_max:
        raise PlaylistTooLarge(
            f"has {len(text)} characters and begins with {shorten(text[:40])}; "
            f"raise line_chars_max above {limits.line_chars_max}",
            line=number,
        )
    name = text[1:].partition(":")[0] if text.startswith("#EXT") else ""
    if len(name) + 1 == len(text):
        name = name.rstrip(BLANKS)  # a flag with a blank after it
    return Line(number, text, whole[len(text) :], name)
