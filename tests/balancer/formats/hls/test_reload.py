"""A live playlist loaded again gives what a whole reading of it gives, and reads no more of it than is new."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.balancer.errors import PlaylistError, PlaylistTooLarge
from shoal.balancer.formats.hls import (
    Catalogue,
    Limits,
    Load,
    MediaPlaylist,
    Multivariant,
    Reload,
    Resources,
    UriKind,
    parse,
    rewrite,
)
from shoal.balancer.model import ByteRange, Kind, Segment

from ....effort import EFFORT

URL = "https://cdn.example/v/main.m3u8?token=1"
HEAD = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:{}\n"
MAP = '#EXT-X-MAP:URI="init.mp4"\n'
KEY = '#EXT-X-KEY:METHOD=AES-128,URI="key{}"\n'


def path(segment: Segment) -> str:
    return f"/{segment.key.kind.value}/0/{segment.key.number}/x"


def plain(number: int) -> str:
    return f"#EXTINF:6.0,\nsegment_{number}.m4s\n"


def dated(number: int) -> str:
    return f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{number % 60:02}Z\n{plain(number)}"


def text(first: int, count: int, row: Callable[[int], str] = plain, head: str = HEAD + MAP) -> bytes:
    return (head.format(first) + "".join(map(row, range(first, first + count)))).encode()


class Whole:
    """What it must give: each load read as a whole."""

    def __init__(self) -> None:
        self._catalogue = Catalogue(0)

    def take(self, data: bytes) -> tuple[Resources, bytes, dict[str, int]]:
        playlist = parse(data, URL)
        assert isinstance(playlist, MediaPlaylist)
        resources = self._catalogue.update(playlist)
        paths: dict[tuple[Kind, str, ByteRange | None], str] = {}
        for one in (*resources.inits, *resources.keys, *resources.parts, *resources.media):
            paths.setdefault((one.key.kind, one.uri, one.byte_range), path(one))
        kinds = {UriKind.SEGMENT: Kind.MEDIA, UriKind.PART: Kind.PART, UriKind.MAP: Kind.INIT, UriKind.KEY: Kind.KEY}
        rewritten = rewrite(
            playlist, lambda kind, uri, part: paths.get((kinds[kind], uri, part), uri) if kind in kinds else uri
        )
        return resources, rewritten.data, rewritten.dropped


class Both:
    """One beside the other."""

    def __init__(self) -> None:
        self.reload = Reload(0, path)
        self.whole = Whole()
        self.slides = 0

    def load(self, data: bytes) -> None:
        loaded = self.reload.read(data, URL)
        assert isinstance(loaded, Load)
        self.slides += loaded.slide is not None
        playlist = parse(data, URL)
        assert isinstance(playlist, MediaPlaylist)
        assert loaded.end == playlist.media_sequence + len(playlist.segments)
        assert [one.uri for one in loaded.newest] == [one.uri for one in playlist.segments[-2:]]
        assert loaded.playlist.is_live == playlist.is_live
        assert loaded.playlist.target_duration_us == playlist.target_duration_us
        update = self.reload.take(loaded)
        assert (update.resources, update.rewritten.data, update.rewritten.dropped) == self.whole.take(data)


@pytest.mark.parametrize("row", [plain, dated])
@pytest.mark.parametrize("head", [HEAD, HEAD + MAP, HEAD + MAP + KEY.format(1)])
def test_a_window_that_slides_is_read_at_its_end_only(row: Callable[[int], str], head: str) -> None:
    both = Both()
    for first in (0, 1, 1, 3, 9, 10, 80, 81, 130):
        both.load(text(first, 100, row, head))
    assert both.slides == 8


def test_a_list_that_only_grows_is_read_at_its_end_only() -> None:
    both = Both()
    for count in (50, 51, 51, 60):
        both.load(text(7, count))
    assert both.slides == 3


@pytest.mark.parametrize(
    "other",
    [
        text(101, 100, head=HEAD + '#EXT-X-MAP:URI="other.mp4"\n'),  # another init section
        text(101, 100, head=HEAD.replace("TARGETDURATION:6", "TARGETDURATION:7") + MAP),
        text(99, 100),  # older
        text(150, 100),  # nothing that was there before
        text(300, 100),
        text(101, 100, lambda number: plain(number + 1)),  # other segments under these numbers
        text(101, 100) + b"#EXT-X-ENDLIST\n",
        text(101, 100) + b"#EXT-X-DISCONTINUITY\n" + plain(201).encode(),
        text(101, 100) + KEY.format(2).encode() + plain(201).encode(),
        text(101, 100) + b"#EXT-X-GAP\n" + plain(201).encode(),
        text(101, 100) + b"#EXTINF:6,\n#EXT-X-BYTERANGE:10@0\nsegment_201.m4s\n",
        text(101, 100) + plain(150).encode(),  # the same name twice
        text(101, 100) + plain(201).encode() * 2,
        text(101, 100) + b"# a comment\n" + plain(201).encode(),
        text(101, 100).replace(b"\n", b"\r\n"),
        text(101, 100) + b"#EXT-X-UNKNOWN:1\n",
        text(101, 100, head=HEAD + MAP + "#EXT-X-GAP\n"),
        text(101, 100, head=HEAD + MAP + "#EXT-X-DISCONTINUITY\n"),
        text(101, 3),
    ],
)
def test_whatever_else_comes_is_read_as_a_whole_and_so_is_what_follows_it(other: bytes) -> None:
    both = Both()
    both.load(text(99, 100))
    both.load(text(100, 100))
    both.load(other)
    both.load(text(102, 100))
    both.load(text(103, 100))
    assert both.slides >= 1


def test_keys_that_change_in_the_window_are_read_as_a_whole_each_time() -> None:
    both = Both()
    for first in range(3):
        rows = "".join(
            (KEY.format(number // 10) if number % 10 == 0 else "") + plain(number)
            for number in range(first, first + 40)
        )
        both.load((HEAD.format(first) + rows).encode())
    assert both.slides == 0


def test_of_two_that_were_read_the_second_may_be_taken_after_the_first() -> None:
    both, other = Both(), text(102, 100)
    both.load(text(100, 100))
    early = both.reload.read(other, URL)
    both.load(text(101, 100))
    assert isinstance(early, Load)
    update = both.reload.take(early)
    assert (update.resources, update.rewritten.data, update.rewritten.dropped) == both.whole.take(other)


def test_limits_hold_for_the_whole_and_errors_name_the_line_in_it() -> None:
    reload = Reload(0, path)
    loaded = reload.read(text(0, 100), URL)
    assert isinstance(loaded, Load)
    reload.take(loaded)
    with pytest.raises(PlaylistTooLarge, match="segments_max"):
        reload.read(text(1, 100), URL, limits=Limits(segments_max=99))
    with pytest.raises(PlaylistTooLarge, match="playlist_bytes_max"):
        reload.read(text(1, 100), URL, limits=Limits(playlist_bytes_max=2000))
    with pytest.raises(PlaylistError, match="line 207"):
        reload.read(text(1, 100) + b"#EXTINF:6,\n#EXTINF:6,\nx.m4s\n", URL)


def test_a_multivariant_playlist_is_given_back_as_it_is() -> None:
    data = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmain.m3u8\n"
    assert isinstance(Reload(0, path).read(data, URL), Multivariant)


ROWS = st.sampled_from([plain, plain, plain, dated])


@st.composite
def histories(draw: st.DrawFn) -> list[bytes]:
    """Loads of one stream whose rows have, now and then, something of their own."""
    odd = draw(st.dictionaries(st.integers(0, 80), st.sampled_from(["d", "g", "k", "c", "t", "n", "p"]), max_size=2))
    row_of = draw(ROWS)

    def row(number: int) -> str:
        match odd.get(number):
            case "d":
                return f"#EXT-X-DISCONTINUITY\n{plain(number)}"
            case "g":
                return f"#EXT-X-GAP\n{plain(number)}"
            case "k":
                return KEY.format(number) + plain(number)
            case "c":
                return f"#hello\n{plain(number)}"
            case "t":
                return f"#EXTINF:5.5,a title\nsegment_{number}.m4s?sig=a%20b\n"
            case "p":
                return f'#EXT-X-PART:DURATION=3,URI="part_{number}.0.m4s"\n{plain(number)}'
            case "n":
                return plain(max(0, number - 7))  # a name again
        return row_of(number)

    loads: list[bytes] = []
    first = count = 0
    for _ in range(draw(st.integers(2, 6))):
        first = max(0, first + draw(st.sampled_from([0, 1, 1, 2, 5, 30, -3])))
        count = draw(st.sampled_from([40, 40, 41, 45, 20, 0]))
        loads.append(text(first, count, row, draw(st.sampled_from([HEAD, HEAD, HEAD + MAP]))))
    return loads


@settings(max_examples=60 * EFFORT, deadline=None)
@given(histories())
def test_any_history_gives_what_whole_readings_give(loads: list[bytes]) -> None:
    both = Both()
    for data in loads:
        both.load(data)
