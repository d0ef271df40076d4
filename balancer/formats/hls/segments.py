"""The segments of a playlist as values, made when they are looked at where they stand in a run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import overload

from .attributes import duration_us
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
        for place, lines in enumerate(self._run.blocks()):
            for offset in range(BLOCK):
                yield self._segment(place * BLOCK + offset, lines[2 * offset], lines[2 * offset + 1])

    def __getitem__(self, place: int) -> MediaSegment:
        lines = self._run.block(place // BLOCK)
        offset = place % BLOCK
        return self._segment(place, lines[2 * offset], lines[2 * offset + 1])

    def _segment(self, place: int, extinf: str, uri: str) -> MediaSegment:
        seconds, _, title = extinf[8:].partition(",")
        discontinuity_sequence, init, keys, bitrate_kbps = self._shared
        return MediaSegment(
            place=self.place + place,
            sequence=self.sequence + place,
            discontinuity_sequence=discontinuity_sequence,
            uri=uri if ":" in uri else self._folder + uri,
            duration_us=self._duration(seconds),
            title=title.strip(BLANKS) if title else "",
            map=init,
            keys=keys,
            bitrate_kbps=bitrate_kbps,
            line=self._run.number + 2 * place + 1,
        )

    def _duration(self, seconds: str) -> int:
        known = self._durations.get(seconds)
        if known is None:
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
