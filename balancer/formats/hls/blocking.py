"""Blocking reload: a playlist that is answered when it has what was asked for (draft-pantos-hls-rfc8216bis, 6.2.5.2).

    _HLS_msn=17            once it has segment 17
    _HLS_msn=17&_HLS_part=2    once it has part 2 of segment 17, counted from 0
    _HLS_skip=YES          without the segments that are known already (delta.py)

    Directives.read(query)      what a player asks for
    directives.url(url)         the same question to an origin
    with_field(url, field)      a URL that may have such a question, and one more field
    edge_of(playlist)           how far a playlist is: what it has, and what it will have next
    edge.has(directives)        whether it is time to answer
    edge.is_too_far(...)        whether it is so far ahead that it is to be refused

Sans-IO, and in whole numbers.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

import msgspec

from shoal.balancer.errors import DirectiveRefused

from .playlist import MediaPlaylist
from .tokenizer import shorten

__all__ = ["NOTHING", "Directives", "Edge", "edge_of", "fields_of", "with_field"]

# 2^53 - 1 is what players can count to, and a segment of ten thousand parts would be of 20 ms each for 200 s.
_SEGMENT = re.compile(r"[0-9]{1,16}")
_PART = re.compile(r"[0-9]{1,4}")
_LAST = re.compile(r"(?<=[?&])_HLS_[^&]*(?:&_HLS_[^&]*)*\Z")  # directives at the end of a query
_FIELDS_MAX = 64  # of a query; players send three, and CMCD one
# 6.2.5.2: the Advance Part Limit is three seconds' worth of parts, and three parts at least.
_ADVANCE_US = 3_000_000
_ADVANCE_PARTS_MIN = 3
_ADVANCE_SEGMENTS = 2  # beyond the last one that the playlist has


class Directives(msgspec.Struct, frozen=True):
    """What a player says of the playlist that it asks for; None: nothing."""

    segment: int | None = None  # media sequence number
    part: int | None = None  # of that segment, from 0

    @classmethod
    def read(cls, query: str) -> Directives:
        """From the query of a request, in which other fields are left alone.

        DirectiveRefused for numbers that are none, and for a part without its segment.
        """
        if "_HLS_" not in query:
            return NOTHING
        fields = fields_of(query)
        segment = _number(fields, "_HLS_msn", _SEGMENT)
        part = _number(fields, "_HLS_part", _PART)
        if segment is None and part is not None:
            raise DirectiveRefused(f"_HLS_part={part} without _HLS_msn; say of which segment")
        return cls(segment, part)

    def url(self, url: str) -> str:
        """`url` with these directives last, as 6.2.5 wants them; the rest of its query stays as it was signed."""
        fields = [
            f"{name}={value}"
            for name, value in (("_HLS_msn", self.segment), ("_HLS_part", self.part))
            if value is not None
        ]
        return f"{url}{'&' if '?' in url else '?'}{'&'.join(fields)}" if fields else url


NOTHING = Directives()


class Edge(msgspec.Struct, frozen=True):
    """How far a playlist is."""

    segment: int = 0  # the number that follows its last whole segment
    parts: int = 0  # how many of that one's parts are there
    last_parts: int = 0  # of how many parts its last whole segment is known to be; 0: they are not listed any more

    @property
    def place(self) -> tuple[int, int]:
        """The same as what grows: of two playlists of a rendition, the greater one is the newer."""
        return (self.segment, self.parts)

    def has(self, wanted: Directives) -> bool:
        """Whether a playlist as far as this has what is wanted."""
        if wanted.segment is None or wanted.segment < self.segment - 1:
            return True
        if wanted.segment == self.segment - 1:
            # A part beyond its last one is taken for the first of the segment that follows.
            is_within = wanted.part is None or not self.last_parts or wanted.part < self.last_parts
            return is_within or self.parts > 0
        return wanted.segment == self.segment and wanted.part is not None and wanted.part < self.parts

    def is_too_far(self, wanted: Directives, part_target_us: int | None) -> bool:
        """Whether a server is to refuse the question at once: nobody who follows this stream would ask it."""
        if wanted.segment is None:
            return False
        if wanted.segment - (self.segment - 1) > _ADVANCE_SEGMENTS:
            return True
        if wanted.part is None or wanted.segment != self.segment:
            return False
        return wanted.part - (self.parts - 1) > max(_ADVANCE_PARTS_MIN, _ADVANCE_US // (part_target_us or _ADVANCE_US))


def edge_of(playlist: MediaPlaylist) -> Edge:
    segments = playlist.segments
    return Edge(
        segment=playlist.media_sequence + len(segments),
        parts=len(playlist.parts),
        last_parts=len(segments[-1].parts) if segments else 0,
    )


def with_field(url: str, field: str) -> str:
    """`url`, without a fragment, with one more field in its query; directives stay last."""
    found = _LAST.search(url)
    if found is None:
        return f"{url}{'&' if '?' in url else '?'}{field}"
    return f"{url[: found.start()]}{field}&{found[0]}"


def fields_of(query: str) -> dict[str, str]:
    """The fields of a request's query, of which some may be directives; DirectiveRefused for too many."""
    try:
        return dict(parse_qsl(query, max_num_fields=_FIELDS_MAX))
    except ValueError:
        raise DirectiveRefused(f"a query of more than {_FIELDS_MAX} fields; send the directives alone") from None


def _number(fields: dict[str, str], name: str, pattern: re.Pattern[str]) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if not pattern.fullmatch(value):
        raise DirectiveRefused(f"{name} is {shorten(value)}; write a whole number")
    return int(value)
