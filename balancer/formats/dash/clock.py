"""The clock that players of a live MPD go by (UTCTiming; ISO/IEC 23009-1, 5.8.4.11).

    clock_of(mpd)                  the first that can be read here, or None
    direct_us(mpd)                 the time that the MPD tells itself, which was then
    told_us(clock, date, body)     the time that its answer tells, in us since 1970

Read are `direct`, `http-xsdate`, `http-iso`, and `http-head` by a request whose body is left.  Those of
NTP and SNTP are passed over: they need datagrams.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import msgspec

from shoal.balancer.errors import PlaylistError, PlaylistMalformed

from .mpd import Mpd
from .values import date_us, resolve

__all__ = ["CLOCK_BYTES_MAX", "Clock", "clock_of", "direct_us", "scheme_of", "told_us"]

CLOCK_BYTES_MAX = 1024  # a date has thirty
_URLS_MAX = 3  # of one clock, for when one does not answer
_SCHEME = "urn:mpeg:dash:utc:"
_BY_BODY = ("http-xsdate", "http-iso")


class Clock(msgspec.Struct, frozen=True):
    """`said_us`: what the MPD says itself.  Else one of `urls` is asked; `by_head`: its Date counts, and no body."""

    urls: tuple[str, ...] = ()
    by_head: bool = False
    said_us: int | None = None


def scheme_of(uri: str) -> str:
    """`direct`, `http-iso` and so on; "" for what is none that was known in 2014."""
    name, _, year = uri.removeprefix(_SCHEME).rpartition(":")
    return name if uri.startswith(_SCHEME) and year in {"2012", "2014"} else ""


def direct_us(mpd: Mpd) -> int | None:
    """In us since 1970; None where it tells none."""
    said = [date_us(each.value.strip()) for each in mpd.utc_timings if scheme_of(each.scheme) == "direct"]
    return next((us for us in said if us is not None), None)


def clock_of(mpd: Mpd) -> Clock | None:
    """PlaylistError never: one that is not right is passed over, as one of a later scheme is."""
    for descriptor in mpd.utc_timings:
        name = scheme_of(descriptor.scheme)
        if name == "direct":
            said_us = date_us(descriptor.value.strip())
            if said_us is not None:
                return Clock(said_us=said_us)
        elif name == "http-head" or name in _BY_BODY:
            try:
                urls = tuple(resolve(mpd.url, url, 0) for url in descriptor.value.split()[:_URLS_MAX])
            except PlaylistError:
                continue
            if urls:
                return Clock(urls, by_head=name == "http-head")
    return None


def told_us(clock: Clock, date: str | None, body: bytes) -> int:
    """`date` is the answer's Date header.  PlaylistMalformed where it tells no time."""
    text = (date or "").strip() if clock.by_head else body[:CLOCK_BYTES_MAX].decode("ascii", "replace").strip()
    if not clock.by_head:
        found = date_us(text)
        if found is not None:
            return found
    else:
        try:
            # Whole seconds, rounded down: half a second later is as often too late as too early.
            return int(parsedate_to_datetime(text).timestamp()) * 1_000_000 + 500_000
        except (ValueError, OverflowError):
            pass
    raise PlaylistMalformed(f"a clock of UTCTiming says {text[:80]!r}; that is no time of day")
