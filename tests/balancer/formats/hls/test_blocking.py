"""When a playlist is far enough to answer who asked for it ahead of time (rfc8216bis, 6.2.5.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import DirectiveRefused
from shoal.balancer.formats.hls import (
    NOTHING,
    Catalogue,
    Directives,
    Edge,
    Load,
    MediaPlaylist,
    Reload,
    edge_of,
    parse,
    skip_url,
    with_field,
)
from shoal.balancer.model import Segment

URL = "https://cdn.example/v/main.m3u8"
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=1\n#EXT-X-MEDIA-SEQUENCE:{}\n"


def playlist(first: int, counts: list[int], following: int, *, ranges: bool = False) -> str:
    """Segments from number `first` on, with so many parts each; of the one after them, `following` parts and a hint."""

    def part(number: int, place: int) -> str:
        where = f'URI="s{number}",BYTERANGE="7@{7 * place}"' if ranges else f'URI="s{number}.{place}"'
        return f"#EXT-X-PART:DURATION=1,{where}\n"

    text = HEAD.format(first)
    for number, count in enumerate(counts, first):
        text += "".join(part(number, place) for place in range(count)) + f"#EXTINF:{count},\ns{number}\n"
    end = first + len(counts)
    text += "".join(part(end, place) for place in range(following))
    hint = f'URI="s{end}",BYTERANGE-START={7 * following}' if ranges else f'URI="s{end}.{following}"'
    return f"{text}#EXT-X-PRELOAD-HINT:TYPE=PART,{hint}\n"


def read(text: str) -> MediaPlaylist:
    found = parse(text.encode(), URL)
    assert isinstance(found, MediaPlaylist)
    return found


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", NOTHING),
        ("token=_HLS", NOTHING),
        ("_HLS_pathway=a&_HLS_skip=YES", NOTHING),
        ("_HLS_msn=17", Directives(17)),
        ("a=b&_HLS_msn=17&_HLS_part=0&_HLS_skip=v2", Directives(17, 0)),
        ("_HLS_msn=9007199254740991", Directives(2**53 - 1)),
    ],
)
def test_directives_are_read_from_a_query(query: str, wanted: Directives) -> None:
    assert Directives.read(query) == wanted


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("_HLS_part=1", "without _HLS_msn"),
        ("_HLS_msn=x", "'x'; write a whole number"),
        ("_HLS_msn=-1", "whole number"),
        ("_HLS_msn=1.5", "whole number"),
        ("_HLS_msn=%D9%A3", "whole number"),  # an Arabic digit
        ("_HLS_msn=" + "9" * 17, "whole number"),
        ("_HLS_msn=1&_HLS_part=10000", "whole number"),
        ("_HLS_msn=1" + "&a=1" * 64, "more than 64 fields"),
    ],
)
def test_directives_that_make_no_sense_are_refused(query: str, what: str) -> None:
    with pytest.raises(DirectiveRefused, match=what):
        Directives.read(query)


@pytest.mark.parametrize(
    ("url", "wanted", "asked"),
    [
        ("http://a/v.m3u8", NOTHING, "http://a/v.m3u8"),
        ("http://a/v.m3u8", Directives(3), "http://a/v.m3u8?_HLS_msn=3"),
        ("http://a/v.m3u8?sig=%2f", Directives(3, 0), "http://a/v.m3u8?sig=%2f&_HLS_msn=3&_HLS_part=0"),
    ],
)
def test_an_origin_is_asked_behind_what_its_url_says_already(url: str, wanted: Directives, asked: str) -> None:
    assert wanted.url(url) == asked
    assert Directives.read(asked.partition("?")[2]) == wanted


# Segments 5 and 6 of four parts each, and two parts of 7.
EDGE = edge_of(read(playlist(5, [4, 4], 2)))


@pytest.mark.parametrize(
    ("wanted", "has"),
    [
        (NOTHING, True),
        (Directives(1), True),
        (Directives(6), True),
        (Directives(6, 3), True),
        (Directives(6, 4), True),  # there is no such part: the first of 7 is meant
        (Directives(7), False),
        (Directives(7, 1), True),
        (Directives(7, 2), False),
        (Directives(8, 0), False),
    ],
)
def test_a_playlist_has_what_is_at_or_before_its_end(wanted: Directives, has: bool) -> None:
    assert Edge(7, 2, 4) == EDGE
    assert EDGE.has(wanted) == has


def test_the_part_after_a_last_one_comes_with_the_next_segment() -> None:
    assert not Edge(7, 0, 4).has(Directives(6, 4))
    assert Edge(7, 1, 4).has(Directives(6, 4))


def test_where_parts_are_not_listed_any_more_the_segment_is_enough() -> None:
    assert Edge(7, 0, 0).has(Directives(6, 3))


@pytest.mark.parametrize(
    ("wanted", "part_target_us", "is_too_far"),
    [
        (NOTHING, 1_000_000, False),
        (Directives(8), 1_000_000, False),
        (Directives(9), 1_000_000, True),
        (Directives(7, 4), 1_000_000, False),  # three parts beyond the second one
        (Directives(7, 5), 1_000_000, True),
        (Directives(7, 7), 500_000, False),  # three seconds' worth
        (Directives(7, 8), 500_000, True),
        (Directives(7, 5), None, True),
        (Directives(1, 999), 1_000_000, False),
    ],
)
def test_what_is_far_ahead_is_refused(wanted: Directives, part_target_us: int | None, is_too_far: bool) -> None:
    assert EDGE.is_too_far(wanted, part_target_us) == is_too_far


counts = st.lists(st.integers(1, 5), min_size=1, max_size=5)


@given(first=st.integers(0, 9), counts=counts, following=st.integers(0, 5), asked=st.integers(0, 80))
def test_a_playlist_has_a_part_exactly_if_it_lists_it_or_what_comes_after(
    first: int, counts: list[int], following: int, asked: int
) -> None:
    """Against a list of all parts one after another."""
    every = [(first + row, part) for row, count in enumerate(counts) for part in range(count)]
    every += [(first + len(counts), part) for part in range(following)]
    segment, part = first + asked // 8, asked % 8
    edge = edge_of(read(playlist(first, counts, following)))
    is_beyond = segment < first + len(counts) and part >= counts[segment - first]
    meant = (segment + 1, 0) if is_beyond else (segment, part)
    assert edge.has(Directives(segment, part)) == any(there >= meant for there in every)


@given(counts=counts, cut=st.integers(0, 30), ranges=st.booleans())
def test_a_stream_that_grows_part_by_part_has_each_of_its_parts_once_and_every_name_stays(
    counts: list[int], cut: int, ranges: bool
) -> None:
    """As a player follows it: each reload has what was asked for, and a hint's name is that of the part that came."""
    reload = Reload(0, lambda one: f"/{one.key.kind}/{one.key.number}/x")
    named: dict[str, Segment] = {}
    hinted: set[str] = set()
    wanted, last = NOTHING, (-1, -1)
    steps = [(row, part) for row, count in enumerate(counts) for part in range(count + 1)]
    for row, parts in steps[cut % len(steps) :]:
        loaded = reload.read(playlist(0, counts[:row], parts, ranges=ranges).encode(), URL)
        assert isinstance(loaded, Load)
        assert loaded.edge.has(wanted), (loaded.edge, wanted)
        assert loaded.edge.place > last
        last = loaded.edge.place
        update = reload.take(loaded)
        told = read(update.rewritten.data.decode())
        every = [part for segment in told.segments for part in segment.parts] + list(told.parts)
        assert len({part.uri for part in every}) == len(every) == sum(counts[:row]) + parts
        assert all(part.byte_range is None for part in every)
        for part, one in zip(every, update.resources.parts, strict=True):
            assert named.setdefault(part.uri, one).uri == one.uri
            assert named[part.uri].byte_range == one.byte_range
        if parts:
            assert not hinted or hinted & {part.uri for part in every}
        hinted = {hint.uri for hint in told.preload_hints}
        assert len(hinted) == 1
        wanted = Directives(*last)
        if parts == counts[row]:
            wanted = Directives(row)


def test_the_numbers_of_parts_are_forgotten_as_those_of_keys_are() -> None:
    catalogue = Catalogue(0)
    for first in range(0, 4_000, 2):
        catalogue.update(read(playlist(first, [3, 3], 1)))
    assert len(catalogue._names) < 1024 + 16


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("/a.m3u8", "/a.m3u8?CMCD=x"),
        ("/a.m3u8?sig=1", "/a.m3u8?sig=1&CMCD=x"),
        (Directives(7, 2).url("/a.m3u8"), "/a.m3u8?CMCD=x&_HLS_msn=7&_HLS_part=2"),
        (Directives(7).url("/a.m3u8?sig=1"), "/a.m3u8?sig=1&CMCD=x&_HLS_msn=7"),
        (skip_url(Directives(7, 2).url("/a?b")), "/a?b&CMCD=x&_HLS_msn=7&_HLS_part=2&_HLS_skip=YES"),
        ("/a?_HLS_msn=7&sig=1", "/a?_HLS_msn=7&sig=1&CMCD=x"),
        ("/_HLS_a", "/_HLS_a?CMCD=x"),
        ("/a?x_HLS_a=1", "/a?x_HLS_a=1&CMCD=x"),
    ],
)
def test_one_more_field_stands_before_the_directives(url: str, right: str) -> None:
    assert with_field(url, "CMCD=x") == right
