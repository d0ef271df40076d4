"""A playlist for a local player: the same text with our names in place of its URIs.

Everything else stays byte for byte, unknown tags and comments too, but for:

- byte ranges: each range is a resource of its own here, with its own name, so
  EXT-X-BYTERANGE and the BYTERANGE of EXT-X-MAP, of parts and of hints would cut a part out of a part;
- EXT-X-DEFINE: its variables are substituted already, and an import or a query
  parameter would not resolve at the local URL;
- what would have a player wait for, or go around us to, something that is not
  served (`DROPPED`, and tags whose URI has no name here).  Each is counted by its
  tag, since a viewer loses by it.

URIs of other schemes than http(s) (skd:, data:) stay as they are: they are
messages to the player's DRM, not addresses.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from urllib.parse import urljoin

import msgspec

from shoal.balancer.errors import ConfigurationError
from shoal.balancer.model import ByteRange

from .attributes import without
from .playlist import Playlist, Reference, UriKind
from .runs import Run
from .tokenizer import Limits, Line, shorten

__all__ = ["DROPPED", "Namer", "Rewritten", "rewrite"]

# kind, absolute URI, byte range -> what the player is to ask for instead; None: nothing, and the tag is left out.
# A hint says where its range begins, and has no length.
Namer = Callable[[UriKind, str, ByteRange | None], str | None]

# Tag -> why a player must not see it.
DROPPED = {
    "EXT-X-CONTENT-STEERING": "the player would choose among CDNs, which is our work; we follow it",
    "EXT-X-SKIP": "it stands for what the whole playlist has",
}

# EXT-X-SERVER-CONTROL promises what the server does: our updates (update.py) have all date ranges.
_SERVER_CONTROL = frozenset({"CAN-SKIP-DATERANGES"})
_RANGES = {
    "EXT-X-MAP": frozenset({"BYTERANGE"}),
    "EXT-X-PART": frozenset({"BYTERANGE"}),
    "EXT-X-PRELOAD-HINT": frozenset({"BYTERANGE-LENGTH", "BYTERANGE-START"}),
}
_UNFIT = re.compile(r'[\x00-\x20\x7f-\x9f"]|^#|^$')
# What is in a layout passed its limits when it was parsed; only variables can have made it larger since.
_NO_LIMITS = Limits(attributes_max=1 << 30)


class Rewritten(msgspec.Struct, frozen=True):
    data: bytes
    dropped: dict[str, int]  # tag -> how often


def rewrite(playlist: Playlist, name: Namer, *, left_out: frozenset[int] = frozenset()) -> Rewritten:
    """The playlist with each http(s) URI replaced by what `name` gives for it.  Linear in the playlist.

    Tags in lines of `left_out` (from 1) are not written, nor the URI line that follows an EXT-X-STREAM-INF of them.

    A name may be relative to the URL that the player loads the playlist from.
    ConfigurationError for one that is empty, begins with '#' or has blanks, quotes
    or control characters.
    """
    by_line: defaultdict[int, list[Reference]] = defaultdict(list)
    for reference in playlist.layout.references:
        by_line[reference.line_index].append(reference)
    dropped: Counter[str] = Counter()
    texts: list[str] = []
    is_left_out = False  # the URI line that comes next
    for line in playlist.layout.items:
        if isinstance(line, Run):
            texts += _run(line, urljoin(playlist.url, "."), name)
            continue
        index = line.number - 1
        if line.number in left_out or (line.is_uri and is_left_out):
            is_left_out = line.name == "EXT-X-STREAM-INF"
            continue
        if line.name in DROPPED or (line.name == "EXT-X-PRELOAD-HINT" and index not in by_line):
            dropped[line.name] += 1
            continue
        text: str | None = _renamed(line.text, by_line[index], name) if index in by_line else line.text
        if text is None:
            dropped[line.name] += 1
        elif line.name in _RANGES:
            text = without(_with(line, text), _RANGES[line.name], _NO_LIMITS)
        elif line.name in {"EXT-X-BYTERANGE", "EXT-X-DEFINE"}:
            text = None
        elif line.name == "EXT-X-SERVER-CONTROL":
            text = without(line, _SERVER_CONTROL, _NO_LIMITS)
            dropped[line.name] += text != line.text
        if text is not None:
            texts += (text, line.ending)
    return Rewritten("".join(texts).encode(), dict(+dropped))


def _run(run: Run, folder: str, name: Namer) -> Iterator[str]:
    rows, range_row = run.shape.rows, run.shape.range
    for lines in run.blocks():
        for place in range(rows - 1, len(lines), rows):
            uri, part = lines[place], None
            uri = uri if ":" in uri else folder + uri
            if range_row is not None:
                part = run.byte_range(lines[place - rows + 1 + range_row])
            lines[place] = _fit(name(UriKind.SEGMENT, uri, part) or uri, uri)
        if range_row is not None:
            del lines[range_row::rows]
        yield "\n".join(lines)
        yield "\n"


def _with(line: Line, text: str) -> Line:
    return line if text is line.text else Line(line.number, text, line.ending, line.name)


def _renamed(text: str, references: list[Reference], name: Namer) -> str | None:
    for reference in sorted(references, key=lambda reference: reference.start, reverse=True):
        if not reference.uri.startswith(("http://", "https://")):
            continue
        new = name(reference.kind, reference.uri, reference.byte_range)
        if new is None:
            return None
        text = text[: reference.start] + _fit(new, reference.uri) + text[reference.stop :]
    return text


def _fit(new: str, uri: str) -> str:
    if _UNFIT.search(new):
        raise ConfigurationError(
            f"{shorten(new)} cannot stand in a playlist as the name of {shorten(uri)}; "
            "percent-encode blanks, quotes and control characters"
        )
    return new
