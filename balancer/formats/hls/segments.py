"""The segments of a playlist as values, made when they are looked at where they stand in a run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from .attributes import duration_us, moment_us
from .playlist import InitSection, Key, MediaSegment
from .runs import BLOCK, Run
from .tokenizer import BLANKS, Line

__all__ = ["PlainSegments", "Segments"]


class PlainSegments:
    """The segments of a run, with what the lines before it put in force."""

    __slots__ = ("_durations", "_folder", "_run", "_shared", "place", "sequence")

    def __init__(
        self,
        run: Run,
        folder: str,
        *,
        place: int,
        sequence: int,
        discontinuity_sequence: int,
        map: InitSection | None,  # noqa: A002 - as the field
        keys: tuple[Key, ...],
        bitrate_kbps: int | None,
    ) -> None:
        self._run = run
        self._folder = folder
        self._shared = (discontinuity_sequence, map, keys, bitrate_kbps)
        self._durations: dict[str, int] = {}  # as written -> microseconds; an encoder makes a handful
        self.place = place
        self.sequence = sequence

    def __len__(self) -> int:
        return self._run.count

    def __iter__(self) -> Iterator[MediaSegment]:
        whole = range(BLOCK)
        for block, lines in enumerate(self._run.blocks()):
            yield from self._read(block, lines, whole)

    def __getitem__(self, place: int) -> MediaSegment:
        block = place // BLOCK
        return next(self._read(block, self._run.block(block), (place % BLOCK,)))

    def _read(self, block: int, lines: list[str], offsets: Iterable[int]) -> Iterator[MediaSegment]:
        """Those at `offsets` of a block, whose lines are `lines`.  20,000 pass here for one answer: names are local."""
        discontinuity_sequence, init, keys, bitrate_kbps = self._shared
        run, folder, durations = self._run, self._folder, self._durations
        rows, duration_row = run.shape.rows, run.shape.duration
        date_row, range_row, part = run.shape.date, run.shape.range, None
        place, sequence, date_us = self.place + block * BLOCK, self.sequence + block * BLOCK, None
        number = run.number + (block * BLOCK + 1) * rows - 1
        for offset in offsets:
            first = rows * offset
            seconds, _, title = lines[first + duration_row][8:].partition(",")
            uri = lines[first + rows - 1]
            if date_row is not None:
                date_us = moment_us(lines[first + date_row][25:])
            if range_row is not None:
                part = run.byte_range(lines[first + range_row])
            yield MediaSegment(
                place=place + offset,
                sequence=sequence + offset,
                discontinuity_sequence=discontinuity_sequence,
                uri=uri if ":" in uri else folder + uri,
                duration_us=durations[seconds] if seconds in durations else self._duration(seconds),
                title=title.strip(BLANKS) if title else "",
                byte_range=part,
                map=init,
                keys=keys,
                program_date_time_us=date_us,
                bitrate_kbps=bitrate_kbps,
                line=number + first,
            )

    def _duration(self, seconds: str) -> int:
        """Of a duration that is not known yet."""
        if len(self._durations) > BLOCK:  # each is another: then remembering them saves nothing
            self._durations.clear()
        known = self._durations[seconds] = duration_us(seconds, Line(0, seconds), "EXTINF")
        return known


class Segments(Sequence[MediaSegment]):
    """Segments in order, some as values and some in runs.  Equal to any sequence of equal ones."""

    __slots__ = ("_begins", "_pieces")

    def __init__(self, pieces: Sequence[tuple[MediaSegment, ...] | PlainSegments]) -> None:
        self._pieces = tuple(pieces)
        self._begins: list[int] = []
        count = 0
        for piece in self._pieces:
            self._begins.append(count)
            count += len(piece)
        self._begins.append(count)

    def __len__(self) -> int:
        return self._begins[-1]

    def __iter__(self) -> Iterator[MediaSegment]:
        for piece in self._pieces:
            yield from piece

    @overload
    def __getitem__(self, place: int) -> MediaSegment: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[MediaSegment, ...]: ...
    def __getitem__(self, place: int | slice) -> MediaSegment | tuple[MediaSegment, ...]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        place += len(self) if place < 0 else 0
        if not 0 <= place < len(self):
            raise IndexError(f"there is no segment {place}; there are {len(self)}")
        piece = bisect_right(self._begins, place) - 1
        return self._pieces[piece][place - self._begins[piece]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Segments: {len(self)}>"
