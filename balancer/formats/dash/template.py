"""URL templates: `video/$RepresentationID$/$Number%05d$.m4s` (ISO/IEC 23009-1, 5.3.9.4.4)."""

from __future__ import annotations

import re

import msgspec

from shoal.balancer.errors import PlaylistMalformed, PlaylistUnsupported

from .xml import shorten

__all__ = ["Template", "template"]

_FORMAT = re.compile(r"%0(\d{1,2})d", re.ASCII)
_WIDTH_MAX = 20  # digits of 64 bits
_NAMES = ("RepresentationID", "Number", "Bandwidth", "Time")
_PARTS_MAX = 64  # five identifiers, some of them twice, in a URL that people wrote


class Template(msgspec.Struct, frozen=True):
    """Text and identifiers in turn: an identifier is a name and its width."""

    parts: tuple[str | tuple[str, int], ...]
    text: str

    @property
    def has_number(self) -> bool:
        return self._has("Number")

    @property
    def has_time(self) -> bool:
        return self._has("Time")

    def _has(self, name: str) -> bool:
        return any(not isinstance(part, str) and part[0] == name for part in self.parts)

    def fill(self, representation: str, bandwidth: int, number: int, time: int) -> str:
        values = {"RepresentationID": representation, "Bandwidth": bandwidth, "Number": number, "Time": time}
        return "".join(
            [part if isinstance(part, str) else str(values[part[0]]).rjust(part[1], "0") for part in self.parts]
        )


def template(text: str, line: int) -> Template:
    """PlaylistMalformed for what is no template, PlaylistUnsupported for an identifier that is not served."""
    parts: list[str | tuple[str, int]] = []
    pieces = text.split("$")
    if len(pieces) % 2 == 0:
        raise PlaylistMalformed(f"template {shorten(text)} has a $ without its partner; write $$ for one", line=line)
    if len(pieces) > _PARTS_MAX:
        raise PlaylistMalformed(f"template {shorten(text)} has more than {_PARTS_MAX // 2} identifiers", line=line)
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            parts += [piece] if piece else []
            continue
        name, mark, width = piece.partition("%")
        if not piece:
            parts.append("$")
        elif name == "SubNumber":
            raise PlaylistUnsupported(f"template {shorten(text)} has $SubNumber$: parts of segments", line=line)
        elif name not in _NAMES:
            raise PlaylistMalformed(
                f"template {shorten(text)} has ${piece}$; the identifiers are {', '.join(_NAMES)}", line=line
            )
        elif not mark:
            parts.append((name, 1))
        else:
            format_ = _FORMAT.fullmatch(mark + width)
            if format_ is None or name == "RepresentationID" or int(format_[1]) > _WIDTH_MAX:
                raise PlaylistMalformed(
                    f"template {shorten(text)} has ${piece}$; a width is written %05d, up to {_WIDTH_MAX}", line=line
                )
            parts.append((name, int(format_[1])))
    return Template(tuple(parts), text)
