"""An independent player: libav opens the URL, this file decodes and keeps time.

    python -m shoal.app.demo.player http://127.0.0.1:8080/index.m3u8 --json

It imports libav's binding and the standard library, nothing of shoal, so that
what it says about shoal is somebody else's word.  HTTP, playlists, demultiplexing
and decoding are libav's own.

    startup_ms   from opening the URL to the first decoded picture
    rebuffer_s   sum over pictures of how late each was against start + pts, where
                 later than 100 ms; such a picture shifts the clock by its lateness.
                 The clock starts once 4 s are buffered (or all there is).
    late_ready_s the share of rebuffer_s in which the picture's data was here in time,
                 so that this process, not its source, was slow

A reader thread demultiplexes up to 12 s ahead; the main thread decodes and waits
for each picture's moment.  Exit code 0 means that every picture up to the end was
decoded, 1 that some are missing.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import av
import av.error
import av.logging
from av.stream import Discard

__all__ = ["PlayerOptions", "PlayerResult", "play"]

_PACKETS_MAX = 20_000  # 12 s have about 900; more means time stamps that do not advance
_ERRORS_MAX = 50  # kept; a broken stream warns for every packet
_IO_TIMEOUT_S = 30.0  # longer than any stall that a viewer would sit through


@dataclass(frozen=True)
class PlayerOptions:
    realtime: bool = True  # False: decode as fast as it comes, for checking
    variant: str = "best"  # best or worst, by width
    read_ahead_s: float = 12.0
    start_buffer_s: float = 4.0
    late_s: float = 0.1  # what an eye forgives
    missing_s_max: float = 1.0  # half of a 2 s segment: less than any segment left out
    seconds: float | None = None  # stop there; for live streams


@dataclass
class PlayerResult:
    """What was seen.  `ok` means: up to the end, and nothing left out."""

    ok: bool = False
    startup_ms: float | None = None
    rebuffer_s: float = 0.0
    rebuffer_count: int = 0
    late_ready_s: float = 0.0
    frames: int = 0
    audio_frames: int = 0
    video_seconds: float = 0.0  # decoded
    position_s: float = 0.0
    duration_s: float | None = None
    width: int = 0
    height: int = 0
    realtime: bool = True
    errors: list[str] = field(default_factory=list)


class _Buffer:
    """Packets between the reader and the decoder, limited by how much playing time they hold."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._packets: deque[tuple[Any, float]] = deque()  # with the moment each came
        self._changed = threading.Condition()
        self._end_s: float | None = None  # media time up to which video packets came
        self.position_s = 0.0  # media time of the last picture shown
        self.finished = False
        self.unwanted = False
        self.error: Exception | None = None

    @property
    def buffered_s(self) -> float:
        return 0.0 if self._end_s is None else max(0.0, self._end_s - self.position_s)

    def put(self, packet: Any) -> bool:
        """Add a packet when there is room; False says that nobody wants any more."""
        with self._changed:
            while (self.buffered_s >= self._limit_s or len(self._packets) >= _PACKETS_MAX) and not self.unwanted:
                self._changed.wait(0.5)
            self._packets.append((packet, time.monotonic()))
            if packet.stream.type == "video" and packet.pts is not None:
                end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self._end_s = end_s if self._end_s is None else max(self._end_s, end_s)
            self._changed.notify_all()
            return not self.unwanted

    def finish(self, error: Exception | None = None) -> None:
        with self._changed:
            self.finished, self.error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self.unwanted = True
            self._changed.notify_all()

    def wait_for(self, seconds: float) -> None:
        """Wait until this much is buffered or there is no more."""
        with self._changed:
            while self.buffered_s < seconds and not self.finished:
                self._changed.wait(0.5)

    def get(self) -> tuple[Any, float] | None:
        """The next packet; None at the end."""
        with self._changed:
            while not self._packets:
                if self.finished:
                    return None
                self._changed.wait(0.5)
            item = self._packets.popleft()
            self._changed.notify_all()
            return item

    def shown(self, position_s: float) -> None:
        with self._changed:
            self.position_s = position_s
            self._changed.notify_all()


class _Keeper(logging.Handler):
    """Keeps what libav complains about."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._errors) < _ERRORS_MAX:
            self._errors.append(f"{record.levelname.lower()}: {record.name}: {record.getMessage().strip()}")


def play(
    url: str, options: PlayerOptions | None = None, tell: Callable[[dict[str, Any]], None] = lambda _event: None
) -> PlayerResult:
    """Play `url` to its end.  Blocks; `tell` gets an event a second.  Never raises for what the stream does."""
    options = options or PlayerOptions()
    result = PlayerResult(realtime=options.realtime)
    keeper = _Keeper(result.errors)
    logger = logging.getLogger("libav")
    logger.addHandler(keeper)
    propagated, logger.propagate = logger.propagate, False
    av.logging.set_level(av.logging.WARNING)
    try:
        _play(url, options, result, tell)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        result.errors.append(f"{type(error).__name__}: {error}")
    finally:
        av.logging.set_level(None)
        logger.removeHandler(keeper)
        logger.propagate = propagated
    return result


def _play(url: str, options: PlayerOptions, result: PlayerResult, tell: Callable[[dict[str, Any]], None]) -> None:
    opened_s = time.monotonic()
    container = av.open(url, timeout=_IO_TIMEOUT_S, options={"rw_timeout": str(int(_IO_TIMEOUT_S * 1e6))})
    video, audio = _choose(container, options.variant)
    result.width, result.height = video.width, video.height
    result.duration_s = container.duration / 1e6 if container.duration else None
    buffer = _Buffer(options.read_ahead_s)
    reader = threading.Thread(target=_read, args=(container, video, audio, buffer), name="reader", daemon=True)
    reader.start()
    try:
        _Screen(options, result, buffer, opened_s, tell).run()
    finally:
        buffer.stop()
    wanted_s = options.seconds if options.seconds is not None else result.duration_s
    complete = wanted_s is None or result.video_seconds >= wanted_s - options.missing_s_max
    if buffer.error is not None:
        result.errors.append(f"{type(buffer.error).__name__}: {buffer.error}")
    elif not complete:
        result.errors.append(f"only {result.video_seconds:.2f} s of {wanted_s:.2f} s were decoded")
    result.ok = complete and buffer.error is None and result.frames > 0
    reader.join(2.0)
    if not reader.is_alive():
        container.close()  # under a reader that still waits for bytes it would be pulled away


def _choose(container: Any, variant: str) -> tuple[Any, Any]:
    """One video stream and the sound that belongs to it; everything else is not even fetched."""
    pictures = sorted(container.streams.video, key=lambda stream: stream.width)
    if not pictures:
        raise ValueError("there is no video in this stream")
    video = pictures[0] if variant == "worst" else pictures[-1]
    rate = video.metadata.get("variant_bitrate")
    sounds = [stream for stream in container.streams.audio if stream.metadata.get("variant_bitrate") == rate]
    audio = next(iter(sounds or container.streams.audio), None)
    for stream in container.streams:
        if stream not in {video, audio}:
            stream.discard = Discard.all
    video.codec_context.thread_count = 1  # small pictures; more threads would take the cores from what is tested
    return video, audio


def _read(container: Any, video: Any, audio: Any, buffer: _Buffer) -> None:
    error: Exception | None = None
    try:
        for packet in container.demux([stream for stream in (video, audio) if stream is not None]):
            if not buffer.put(packet):
                break
    except Exception as problem:  # it is told by the main thread, whatever it is
        error = problem
    buffer.finish(error)


class _Screen:
    """Decodes in order and shows each picture at its moment."""

    def __init__(
        self,
        options: PlayerOptions,
        result: PlayerResult,
        buffer: _Buffer,
        opened_s: float,
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        self._options = options
        self._result = result
        self._buffer = buffer
        self._opened_s = opened_s
        self._tell = tell
        self._clock_s: float | None = None  # when media time 0 is (or would have been) shown
        self._told_s = 0.0

    def run(self) -> None:
        while (item := self._buffer.get()) is not None:
            packet, came_s = item
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                if len(self._result.errors) < _ERRORS_MAX:
                    self._result.errors.append(f"decoding: {error}")
                continue
            for frame in frames:
                if packet.stream.type == "video":
                    self._show(frame, came_s, packet.stream)
                else:
                    self._result.audio_frames += 1
            if self._options.seconds is not None and self._result.video_seconds >= self._options.seconds:
                return

    def _show(self, frame: Any, came_s: float, stream: Any) -> None:
        result = self._result
        at_s = float(frame.time or 0.0)
        if result.startup_ms is None:
            result.startup_ms = round((time.monotonic() - self._opened_s) * 1000, 1)
            self._tell({"event": "first-frame", "startup_ms": result.startup_ms})
            if self._options.realtime:
                self._buffer.wait_for(self._options.start_buffer_s)
            self._clock_s = time.monotonic() - at_s
        if self._options.realtime:
            self._wait_for(at_s, came_s)
        rate = stream.average_rate or stream.guessed_rate
        result.frames += 1
        result.video_seconds += float(1 / rate) if rate else 0.0
        result.position_s = at_s
        self._buffer.shown(at_s)
        now_s = time.monotonic()
        if now_s - self._told_s >= 1.0:
            self._told_s = now_s
            self._tell(
                {
                    "event": "progress",
                    "position_s": round(at_s, 3),
                    "buffered_s": round(self._buffer.buffered_s, 3),
                    "rebuffer_s": round(result.rebuffer_s, 3),
                    "frames": result.frames,
                }
            )

    def _wait_for(self, at_s: float, came_s: float) -> None:
        assert self._clock_s is not None
        due_s = self._clock_s + at_s
        wait_s = due_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        late_s = time.monotonic() - due_s
        if late_s <= self._options.late_s:
            return
        result = self._result
        result.rebuffer_s += late_s
        result.rebuffer_count += 1
        if came_s <= due_s:
            result.late_ready_s += late_s
        self._clock_s += late_s
        self._tell({"event": "rebuffer", "position_s": round(at_s, 3), "late_s": round(late_s, 3)})


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m shoal.app.demo.player", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("--json", action="store_true", help="one JSON object a line; the last one is the result")
    parser.add_argument(
        "--realtime",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="show pictures at their time and measure rebuffering, or decode as fast as they come",
    )
    parser.add_argument("--variant", choices=("best", "worst"), default="best")
    parser.add_argument("--seconds", type=float, help="stop after this much video")
    arguments = parser.parse_args(argv)

    def tell(event: dict[str, Any]) -> None:
        if arguments.json:
            line = json.dumps(event)
        else:
            line = "  ".join(f"{key} {value}" for key, value in event.items() if key != "errors")
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    # Told to stop, it still leaves through the exits below.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    options = PlayerOptions(realtime=arguments.realtime, variant=arguments.variant, seconds=arguments.seconds)
    result = play(arguments.url, options, tell)
    tell({"event": "end", **asdict(result)})
    if not arguments.json:
        for error in result.errors:
            sys.stderr.write(error + "\n")
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main())
