"""The base URLs of an MPD as pathways: each service location is a CDN of the decision.

    ISO/IEC 23009-1, 5.6 (alternatives) and ETSI TS 103 998 (steering among service locations)

    <BaseURL serviceLocation="a">https://a.example/v/</BaseURL>      home: a, since segments are named there
    <BaseURL serviceLocation="b">https://b.example/w/</BaseURL>      on b:  https://a.example/v/ -> .../w/

An alternative without a service location is called by its host.  What a representation has
at one location and not at another is asked of the first only.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from .formats.dash import BaseUrl, Mpd, Representation, Template
from .pathways import PATHWAYS_MAX, Pathways, Stream

__all__ = ["pathways_of"]


def pathways_of(mpd: Mpd) -> tuple[Pathways, int] | None:
    """The pathways, and how many beyond PATHWAYS_MAX are left out.  None where there is one, and nobody steers.

    None as well where templates are whole URLs: those lie at no base URL.
    """
    streams = [_uris(each) for each in _representations(mpd)]
    names = list(dict.fromkeys(name for uris in streams for name in uris))
    if not names or (len(names) == 1 and mpd.steering is None):
        return None
    if any(map(_is_whole, _names(mpd))):
        return None
    home = names[0]
    served = names[:PATHWAYS_MAX]
    rows = tuple(
        Stream({name: uri for name, uri in uris.items() if name in served}) for uris in streams if home in uris
    )
    return Pathways(home, tuple(served), rows), len(names) - len(served)


def _representations(mpd: Mpd) -> Iterator[Representation]:
    for period in mpd.periods:
        for adaptation_set in period.adaptation_sets:
            yield from adaptation_set.representations


def _uris(representation: Representation) -> dict[str, str]:
    """Where a representation lies at each location."""
    uris: dict[str, str] = {}
    for base in representation.base_urls:
        uris.setdefault(_name(base), base.url)
    return uris


def _name(base: BaseUrl) -> str:
    return base.service_location or urlsplit(base.url).netloc


def _names(mpd: Mpd) -> Iterator[str | None]:
    """Of segments, as they are written.  Representations may share a list of thousands, which is looked at once."""
    lists = {}
    for representation in _representations(mpd):
        addressing = representation.addressing
        first = addressing.initialization
        lists[id(addressing.entries)] = addressing.entries
        yield first.text if isinstance(first, Template) else first.url if first is not None else None
        yield addressing.media.text if addressing.media is not None else None
    for entries in lists.values():
        yield from (entry.url for entry in entries)


def _is_whole(name: str | None) -> bool:
    """Whether it is more than a path below a base URL."""
    return name is not None and (name.startswith("/") or bool(urlsplit(name).netloc))
