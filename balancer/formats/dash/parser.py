"""Bytes of an MPD (ISO/IEC 23009-1) to its values; the one entrance is `parse`.

    bytes -> xml -> periods, adaptation sets, representations -> Mpd

Promises: nothing but PlaylistError is raised for anything a server can send, with the
line, the value and what to do; every limit of `Limits` holds; linear in the size.

Not followed: xlink, which is refused, and MPD chaining.  What is not read here stays in
the document, and `rewrite.py` passes it on.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from shoal.balancer.errors import ConfigurationError, PlaylistError, PlaylistMalformed, PlaylistTooLarge

from .addressing import read_addressing
from .limits import Limits
from .mpd import AdaptationSet, BaseUrl, ContentSteering, Descriptor, Mpd, PatchLocation, Period, Representation
from .values import Reader, resolve
from .xml import Element, read_xml, shorten

__all__ = ["parse"]

_DVB = "{urn:dvb:dash:dash-extensions:2014-1}"


def parse(data: bytes, url: str, *, limits: Limits | None = None) -> Mpd:
    """The MPD that `data` is; `url` is where it came from after redirects, http or https.

    Raises PlaylistError, and ConfigurationError for the wrong `url`.
    """
    limits = limits or Limits()
    shown = _checked(url)
    try:
        return _Parser(data, url, limits).mpd()
    except PlaylistError as error:
        error.url = shown
        raise


def _checked(url: str) -> str:
    """`url` without its query, for messages."""
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_right, parts = False, urlsplit("")
    if not is_right:
        raise ConfigurationError(f"MPD URL {shorten(url)} is not absolute http or https; give one that is")
    return parts._replace(query="", fragment="", netloc=parts.netloc.rpartition("@")[2]).geturl()


class _BaseRow(msgspec.Struct, frozen=True):
    """The attributes of one BaseURL; None where it says nothing."""

    service_location: str | None
    priority: int | None
    weight: int | None
    offset_us: int
    is_complete: bool | None

    @classmethod
    def read(cls, said: Reader) -> _BaseRow:
        return cls(
            said.text("serviceLocation"),
            said.maybe_integer(f"{_DVB}priority"),
            said.maybe_integer(f"{_DVB}weight"),
            said.offset_us("availabilityTimeOffset") or 0,
            said.flag("availabilityTimeComplete") if said.text("availabilityTimeComplete") is not None else None,
        )

    def below(self, parent: BaseUrl, url: str) -> BaseUrl:
        return BaseUrl(
            url=url,
            service_location=self.service_location or parent.service_location,
            priority=parent.priority if self.priority is None else self.priority,
            weight=parent.weight if self.weight is None else self.weight,
            availability_offset_us=parent.availability_offset_us + self.offset_us,
            is_complete=parent.is_complete if self.is_complete is None else self.is_complete,
        )


class _Parser:
    def __init__(self, data: bytes, url: str, limits: Limits) -> None:
        self._data = data
        self._url = url
        self._limits = limits
        self._root = read_xml(data, limits)
        self._representations = 0
        self._resolved = 0
        self._resolved_chars = 0
        self._first_location: str | None = None

    def mpd(self) -> Mpd:
        root = self._root
        said = Reader(self._limits, root)
        kind = said.text("type") or "static"
        if kind not in {"static", "dynamic"}:
            raise PlaylistMalformed(f"type is {shorten(kind)}; it is static or dynamic", line=root.line)
        is_live = kind == "dynamic"
        availability_start_us = said.date_us("availabilityStartTime")
        if is_live and availability_start_us is None:
            raise PlaylistMalformed(
                "a dynamic MPD has no availabilityStartTime, from which all times count", line=root.line
            )
        steering = self._steering(root)
        self._first_location = steering.default_service_location if steering is not None else None
        duration_us = said.duration_us("mediaPresentationDuration")
        base_urls = self._base_urls((BaseUrl(url=self._url),), root)
        return Mpd(
            url=self._url,
            data=self._data,
            root=root,
            is_live=is_live,
            id=said.text("id"),
            profiles=tuple(filter(None, map(str.strip, (said.text("profiles") or "").split(",")))),
            availability_start_us=availability_start_us,
            availability_end_us=said.date_us("availabilityEndTime"),
            publish_us=said.date_us("publishTime"),
            duration_us=duration_us,
            minimum_update_us=said.duration_us("minimumUpdatePeriod") if is_live else None,
            min_buffer_us=said.duration_us("minBufferTime"),
            time_shift_us=said.duration_us("timeShiftBufferDepth"),
            suggested_delay_us=said.duration_us("suggestedPresentationDelay"),
            max_segment_us=said.duration_us("maxSegmentDuration"),
            periods=self._periods(root, base_urls, duration_us, is_live=is_live),
            base_urls=base_urls,
            locations=tuple(resolve(self._url, row.text, row.line) for row in root.all("Location") if row.text.strip()),
            patch_locations=tuple(
                PatchLocation(resolve(self._url, row.text, row.line), Reader(self._limits, row).offset_us("ttl"))
                for row in root.all("PatchLocation")
            ),
            utc_timings=self._descriptors(root, "UTCTiming"),
            steering=steering,
        )

    def _descriptors(self, element: Element, name: str) -> tuple[Descriptor, ...]:
        readers = [Reader(self._limits, row) for row in element.all(name)]
        return tuple(Descriptor(said.required("schemeIdUri"), said.text("value") or "") for said in readers)

    def _steering(self, root: Element) -> ContentSteering | None:
        row = root.one("ContentSteering")
        if row is None:
            return None
        said, text = Reader(self._limits, row), row.text.strip()
        return ContentSteering(
            # A steering manifest may be in the MPD itself (ETSI TS 103 998, 6.2).
            url=text if text.startswith("data:") else resolve(self._url, text, row.line),
            default_service_location=said.text("defaultServiceLocation"),
            is_queried_before_start=said.flag("queryBeforeStart"),
        )

    def _base_urls(self, above: tuple[BaseUrl, ...], element: Element) -> tuple[BaseUrl, ...]:
        """Each alternative of `element`, resolved against each of those above it (5.6.4)."""
        rows = element.all("BaseURL")
        if not rows:
            return above
        # Counted before they are made: thousands may lead to the same few.
        self._resolved += len(rows) * len(above)
        if len(rows) > self._limits.base_urls_max or self._resolved > self._limits.resolved_urls_max:
            raise PlaylistTooLarge(
                f"has {len(rows)} base URLs in one {element.name}, and {self._resolved} so far with those above them; "
                f"raise base_urls_max above {self._limits.base_urls_max} and resolved_urls_max above "
                f"{self._limits.resolved_urls_max}, or name fewer",
                line=rows[-1].line,
            )
        found: dict[tuple[str, str | None], BaseUrl] = {}
        said = [(row, _BaseRow.read(Reader(self._limits, row))) for row in rows]
        for parent in above:
            for row, its in said:
                base = its.below(parent, resolve(parent.url, row.text, row.line))
                self._resolved_chars += len(base.url)
                if self._resolved_chars > self._limits.resolved_chars_max:
                    raise PlaylistTooLarge(
                        f"has base URLs of over {self._limits.resolved_chars_max} characters, with those above them; "
                        "raise resolved_chars_max, or let them be shorter",
                        line=row.line,
                    )
                found.setdefault((base.url, base.service_location), base)
                if len(found) > self._limits.base_urls_max:
                    raise PlaylistTooLarge(
                        f"has over {self._limits.base_urls_max} base URLs for one representation; "
                        "raise base_urls_max, or name fewer",
                        line=row.line,
                    )
        return tuple(found.values())

    def _in_order(self, base_urls: tuple[BaseUrl, ...]) -> tuple[BaseUrl, ...]:
        """The one that steering begins with comes first, and then those of a better priority."""
        first = self._first_location
        return tuple(sorted(base_urls, key=lambda base: (first not in (None, base.service_location), base.priority)))

    # -- periods

    def _periods(
        self, root: Element, above: tuple[BaseUrl, ...], duration_us: int | None, *, is_live: bool
    ) -> tuple[Period, ...]:
        rows = root.all("Period")
        if not rows:
            raise PlaylistMalformed("the MPD has no Period; is it cut off?", line=root.line)
        if len(rows) > self._limits.periods_max:
            raise PlaylistTooLarge(f"has {len(rows)} periods; raise periods_max above {self._limits.periods_max}")
        times = self._times(rows, duration_us, is_live=is_live)
        periods = []
        for row, start_us, length_us in times:
            base_urls = self._base_urls(above, row)
            periods.append(
                Period(
                    id=Reader(self._limits, row).text("id"),
                    start_us=start_us,
                    duration_us=length_us,
                    adaptation_sets=tuple(self._set(each, row, base_urls) for each in row.all("AdaptationSet")),
                    element=row,
                )
            )
        return tuple(periods)

    def _times(
        self, rows: Sequence[Element], duration_us: int | None, *, is_live: bool
    ) -> list[tuple[Element, int, int | None]]:
        """Start and duration of each period, of which either may follow from its neighbours (5.3.2.1).

        Of a live MPD those whose start nobody can tell are announced and not there: early available periods.
        They are left out until they have one.  The first is never one of them here, though the standard has
        it so: packagers who leave its start out mean 0, and players take it for that.
        """
        begun: list[tuple[Element, int, int | None]] = []
        end_us: int | None = 0  # of the one above
        for row in rows:
            said = Reader(self._limits, row)
            start_us, length_us = said.duration_us("start"), said.duration_us("duration")
            start_us = end_us if start_us is None else start_us
            if start_us is None and is_live:
                continue
            if start_us is None:
                raise PlaylistMalformed("nothing says when this period starts; give its start", line=row.line)
            if begun and start_us < begun[-1][1]:
                raise PlaylistMalformed("a period starts before the one above it; put them in order", line=row.line)
            begun.append((row, start_us, length_us))
            end_us = None if length_us is None else start_us + length_us
        ends = [*(start_us for _, start_us, _ in begun[1:]), duration_us]
        times: list[tuple[Element, int, int | None]] = []
        for (row, start_us, length_us), end_us in zip(begun, ends, strict=True):
            known = length_us if length_us is not None or end_us is None else max(0, end_us - start_us)
            times.append((row, start_us, known))
        return times

    def _set(self, row: Element, period: Element, above: tuple[BaseUrl, ...]) -> AdaptationSet:
        said = Reader(self._limits, row)
        base_urls = self._base_urls(above, row)
        representations = tuple(
            self._representation(each, row, period, base_urls) for each in row.all("Representation")
        )
        content_type = said.text("contentType")
        if content_type is None:
            mime_type = said.text("mimeType") or (representations[0].mime_type if representations else None) or ""
            content_type = mime_type.partition("/")[0] or None
        return AdaptationSet(
            id=said.text("id"),
            content_type=content_type,
            language=said.text("lang"),
            roles=self._descriptors(row, "Role"),
            representations=representations,
            element=row,
        )

    def _representation(
        self, row: Element, adaptation_set: Element, period: Element, above: tuple[BaseUrl, ...]
    ) -> Representation:
        self._representations += 1
        if self._representations > self._limits.representations_max:
            raise PlaylistTooLarge(
                f"has over {self._limits.representations_max} representations; raise representations_max",
                line=row.line,
            )
        own, said = Reader(self._limits, row), Reader(self._limits, row, adaptation_set)
        identifier = own.required("id")
        own.required("bandwidth")
        return Representation(
            id=identifier,
            bandwidth=own.integer("bandwidth"),
            mime_type=said.text("mimeType"),
            codecs=said.text("codecs"),
            width=said.maybe_integer("width"),
            height=said.maybe_integer("height"),
            frame_rate=said.rate("frameRate"),
            audio_sampling_rate=said.text("audioSamplingRate"),
            base_urls=self._in_order(self._base_urls(above, row)),
            addressing=read_addressing((row, adaptation_set, period), self._limits),
            element=row,
        )
