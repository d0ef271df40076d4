"""A playlist for a local player: the same text with our names in place of its URIs.

Everything else stays byte for byte, unknown tags and comments too, but for:

- byte ranges: each range is a resource of its own here, with its own name, so
  EXT-X-BYTERANGE and the BYTERANGE of EXT-X-MAP would cut a part out of a part;
- EXT-X-DEFINE: its variables are substituted already, and an import or a query
  parameter would not resolve at the local URL;
- what would have a player wait for, or go around us to, something that is not
  served (`DROPPED`).  Each is counted by its tag, since a viewer loses by it.

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

# kind, absolute URI, byte range -> what the player is to ask for instead.
Namer = Callable[[UriKind, str, ByteRange | None], str]

# Tag -> why a player must not see it.
DROPPED = {
    "EXT-X-CONTENT-STEERING": "the player would choose among CDNs, which is our work; we follow it",
    "EXT-X-PART": "partial segments are not served",
    "EXT-X-PART-INF": "partial segments are not served",
    "EXT-X-PRELOAD-HINT": "the player would ask for a part before it exists, and wait",
    "EXT-X-RENDITION-REPORT": "it leads around us, and to blocking reloads",
    "EXT-X-SKIP": "delta updates are not served",
}

# EXT-X-SERVER-CONTROL promises what the server does; HOLD-BACK alone is advice that stays true.
_SERVER_CONTROL = frozenset({"CAN-BLOCK-RELOAD", "CAN-SKIP-DATERANGES", "CAN-SKIP-UNTIL", "PART-HOLD-BACK"})
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
        if line.name in DROPPED:
            dropped[line.name] += 1
            continue
        text: str | None = _renamed(line.text, by_line[index], name) if index in by_line else line.text
        if line.name == "EXT-X-MAP":
            text = without(_with(line, text), {"BYTERANGE"}, _NO_LIMITS)
        elif line.name in {"EXT-X-BYTERANGE", "EXT-X-DEFINE"}:
            text = None
        elif line.name == "EXT-X-SERVER-CONTROL":
            text = without(line, _SERVER_CONTROL, _NO_LIMITS)
            dropped[line.name] += text != line.text
        if text is not None:
            texts += (text, line.ending)
    return Rewritten("".join(texts).encode(), dict(+dropped))


def _run(run: Run, folder: str, name: Namer) -> Iterator[str]:
    for lines in run.blocks():
        for place in range(0, len(lines), 2):
            uri = lines[place + 1]
            uri = uri if ":" in uri else folder + uri
            yield f"{lines[place]}\n{_fit(name(UriKind.SEGMENT, uri, None), uri)}\n"


def _with(line: Line, text: str | None) -> Line:
    assert text is not None
    return line if text is line.text else Line(line.number, text, line.ending, line.name)


def _renamed(text: str, references: list[Reference], name: Namer) -> str:
    for reference in sorted(references, key=lambda reference: reference.start, reverse=True):
        if not reference.uri.startswith(("http://", "https://")):
            continue
        new = _fit(name(reference.kind, reference.uri, reference.byte_range), reference.uri)
        text = text[: reference.start] + new + text[reference.stop :]
    return text


def _fit(new: str, uri: str) -> str:
    if _UNFIT.search(new):
        raise ConfigurationError(
            f"{shorten(new)} cannot stand in a playlist as the name of {shorten(uri)}; "
            "percent-encode blanks, quotes and control characters"
        )
    return new
