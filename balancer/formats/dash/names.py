"""What segments are called in the MPD that a local player gets.

    /dash/3/            the base URL of rendition 3; below it:
    init.mp4            its initialization section
    index.sidx          its index, where that is a file of its own
    n17.m4s             the segment that $Number$ calls 17 (of a list: its number)
    t90000.m4s          the segment that $Time$ calls 90000
    film.mp4            of a representation that is one file: that file, by ranges; file-init.mp4 where it is called
                        as one of the others

Origins may use any template; players are given these, which say at once what is meant
and cannot lead anywhere else.  The last part of a name is for people and players that
look at extensions.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import msgspec

from .addressing import Addressing, AddressingKind

__all__ = ["Name", "file_name", "media_template", "read_name", "suffix"]

_NAME = re.compile(r"(?:(init|index)|([nt])([0-9]{1,20}))(?:\.[A-Za-z0-9]{1,8})?", re.ASCII)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}\Z", re.ASCII)


class Name(msgspec.Struct, frozen=True):
    what: str  # init, index, number, time, file
    value: int = 0


def read_name(text: str) -> Name:
    """What a player asks for; everything that is no name of ours is a file's."""
    found = _NAME.fullmatch(text)
    if found is None:
        return Name("file")
    if found[1]:
        return Name(found[1])
    return Name("number" if found[2] == "n" else "time", int(found[3]))


def file_name(text: str) -> str:
    """What a file is called whose origin calls it `text`, so that `read_name` knows it; servers decode it before."""
    return text if read_name(unquote(text)).what == "file" else f"file-{text}"


def suffix(url: str | None) -> str:
    """The extension of a URL or template, with its dot; "" for none that is plain."""
    found = _SUFFIX.search(urlsplit(url or "").path.replace("$", "")) if url else None
    return found[0] if found else ""


def media_template(addressing: Addressing) -> str:
    """What stands in the place of SegmentTemplate@media."""
    assert addressing.kind is AddressingKind.TEMPLATE
    assert addressing.media is not None
    return ("t$Time$" if addressing.media.has_time else "n$Number$") + suffix(addressing.media.text)
