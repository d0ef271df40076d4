"""An origin of low-latency DASH: its MPD names segments that are being made, which it sends as they are (chunked)."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from shoal.app.demo.low_latency import LowLatencyOrigin, OnAir
from shoal.app.demo.origin import RequestRecord
from shoal.app.demo.stream import Stream, StreamOptions
from shoal.balancer.formats.hls import Directives

from .manifests import mpd_of, with_clock
from .support import until

__all__ = ["MPD", "TARGET_S", "GrowingOrigin"]

MPD = "live.mpd"
CLOCK = "time"
TARGET_S = 1.5  # how far behind a player is to be, as the MPD says
_SEGMENT = re.compile(r"([a-z]+)_([0-9]{3})\.m4s")


class GrowingOrigin(LowLatencyOrigin):
    """Of a segment that grows, the last piece is held back until `has_begun` says that a player has its first bytes."""

    def __init__(
        self, on_air: OnAir, options: StreamOptions, has_begun: Callable[[str, int], bool], **more: Any
    ) -> None:
        super().__init__(on_air, **more)
        self.grown: list[str] = []  # what was asked for before it was whole, and given from its beginning on by then
        self._options = options
        self._has_begun = has_begun  # rendition and number of a segment

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.path.lstrip("/")
        found = _SEGMENT.fullmatch(path)
        if path == MPD:
            return web.Response(body=self._mpd(), content_type="application/dash+xml")
        if path == CLOCK:  # which players ask, from pages of other origins
            text = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
            return web.Response(text=text, headers={"Access-Control-Allow-Origin": "*"})
        if found is None:
            return await super()._serve(request)
        self.requests.append(RequestRecord(path, time.monotonic(), request.headers.get("Range")))
        return await self._grow(request, found[1], int(found[2]))

    async def _grow(self, request: web.Request, name: str, number: int) -> web.StreamResponse:
        air, film = self.on_air, self.on_air.broadcast.films[name]
        parts = film.segments[number] if number < len(film.segments) else ()
        due_s = [air.broadcast.due_s(name, Directives(number, place)) for place in range(len(parts))]
        if not parts or due_s[0] - air.at_s() > air.broadcast.part_target_s:
            return web.Response(status=404)
        is_growing = air.at_s() < due_s[-1]
        response = web.StreamResponse(headers={"Content-Type": "video/iso.segment"})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            for place, part in enumerate(parts):
                await air.until(due_s[place])
                if is_growing and place == len(parts) - 1:
                    what = f"{name} {number} was not passed on before it was whole"
                    await until(lambda: self._has_begun(name, number), what, every_s=0.01)
                    self.grown.append(request.path)
                await response.write(part.data)
            await response.write_eof()
        except ConnectionResetError:  # nobody wants it any more
            pass
        return response

    def _mpd(self) -> bytes:
        on_air = self.on_air.broadcast
        template = (
            f'<SegmentTemplate timescale="1000" duration="{round(on_air.segment_s * 1000)}" startNumber="0" '
            f'availabilityTimeOffset="{on_air.segment_s - on_air.part_target_s:.3f}" availabilityTimeComplete="false" '
            'media="$RepresentationID$_$Number%03d$.m4s" initialization="$RepresentationID$_init.mp4"/>'
        )
        began = on_air.began.isoformat(timespec="milliseconds")
        attributes = (
            f'type="dynamic" availabilityStartTime="{began}" publishTime="{began}" minimumUpdatePeriod="PT2S" '
            'timeShiftBufferDepth="PT60S"'
        )
        stream = Stream(folder=self.root, seconds=0, segment_seconds=round(on_air.segment_s))
        text = mpd_of(stream, self._options, {each.name: template for each in self._options.renditions}, attributes)
        latency = f'<Latency target="{round(TARGET_S * 1000)}" min="500" max="20000" referenceId="0"/>'
        service = f'<ServiceDescription id="0">{latency}<PlaybackRate min="0.9" max="1.2"/></ServiceDescription>'
        time_of = (
            '<ProducerReferenceTime id="0" type="encoder" presentationTime="0" '
            f'wallClockTime="{began}"/><Resync dT="{round(on_air.part_target_s * 1000)}" type="1"/>'
        )
        text = text.replace(b"<Period", service.encode() + b"<Period", 1)
        text = text.replace(b"<Representation", time_of.encode() + b"<Representation", 1)
        return with_clock(text, "http-xsdate", CLOCK)
