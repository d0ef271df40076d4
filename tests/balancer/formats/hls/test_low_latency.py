"""Parts and what belongs to them, read from a playlist (draft-pantos-hls-rfc8216bis, 4.4.3.7 to 4.4.5.4)."""

from __future__ import annotations

import pytest

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge, PlaylistUnsupported
from shoal.balancer.formats.hls import Limits, MediaPlaylist, ServerControl, parse, rewrite
from shoal.balancer.model import ByteRange

URL = "https://cdn.example/v/main.m3u8"


def read(*lines: str, **limits: int) -> MediaPlaylist:
    text = "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:4", "#EXT-X-PART-INF:PART-TARGET=0.5", *lines, ""])
    playlist = parse(text.encode(), URL, limits=Limits(**limits))
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def test_parts_belong_to_the_segment_that_comes_next_and_the_last_ones_to_none_yet() -> None:
    playlist = read(
        '#EXT-X-PART:DURATION=0.5,URI="1.0.m4s",INDEPENDENT=YES',
        '#EXT-X-PART:DURATION=0.25,URI="1.1.m4s",GAP=YES',
        "#EXTINF:0.75,",
        "1.m4s",
        '#EXT-X-PART:DURATION=0.5,URI="2.0.m4s"',
    )
    (segment,) = playlist.segments
    assert [(part.uri[-7:], part.duration_us, part.is_independent, part.is_gap) for part in segment.parts] == [
        ("1.0.m4s", 500_000, True, False),
        ("1.1.m4s", 250_000, False, True),
    ]
    assert [part.uri for part in playlist.parts] == ["https://cdn.example/v/2.0.m4s"]
    assert playlist.part_target_us == 500_000


def test_a_part_without_an_offset_follows_the_one_before_of_its_file() -> None:
    playlist = read(
        '#EXT-X-PART:DURATION=0.5,URI="a",BYTERANGE="10"',
        '#EXT-X-PART:DURATION=0.5,URI="a",BYTERANGE="10"',
        '#EXT-X-PART:DURATION=0.5,URI="a",BYTERANGE="10@100"',
        '#EXT-X-PART:DURATION=0.5,URI="a",BYTERANGE="5"',
        '#EXT-X-PART:DURATION=0.5,URI="b",BYTERANGE="7"',
    )
    assert [part.byte_range for part in playlist.parts] == [
        ByteRange(0, 10),
        ByteRange(10, 10),
        ByteRange(100, 10),
        ByteRange(110, 5),
        ByteRange(0, 7),
    ]


def test_what_the_server_can_do_is_read() -> None:
    said = "CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24,CAN-SKIP-DATERANGES=YES,HOLD-BACK=12,PART-HOLD-BACK=1.5"
    assert read(f"#EXT-X-SERVER-CONTROL:{said}").server_control == ServerControl(
        can_block_reload=True,
        can_skip_until_us=24_000_000,
        can_skip_date_ranges=True,
        hold_back_us=12_000_000,
        part_hold_back_us=1_500_000,
    )
    assert read("#EXT-X-SERVER-CONTROL:X=1").server_control == ServerControl()


def test_hints_of_unknown_types_are_ignored() -> None:
    hints = read(
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p",BYTERANGE-START=5,BYTERANGE-LENGTH=9',
        '#EXT-X-PRELOAD-HINT:TYPE=SMELL,URI="s"',
    ).preload_hints
    assert [(hint.type, hint.uri, hint.first_byte, hint.byte_count) for hint in hints] == [
        ("PART", "https://cdn.example/v/p", 5, 9)
    ]


def test_nothing_that_is_not_served_is_promised_to_the_player() -> None:
    playlist = read(
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=12",
        "#EXT-X-SCTE35:CUE=x",
        '#EXT-X-PART:DURATION=0.5,URI="1.0.m4s"',
        "#EXTINF:0.5,",
        "1.m4s",
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="2.0.m4s"',
        '#EXT-X-RENDITION-REPORT:URI="../b.m3u8",LAST-MSN=1',
    )
    text = rewrite(playlist, lambda kind, uri, part: "/named").data.decode()
    assert text.splitlines() == [
        "#EXTM3U",
        "#EXT-X-TARGETDURATION:4",
        "#EXT-X-SERVER-CONTROL:HOLD-BACK=12",
        "#EXT-X-SCTE35:CUE=x",
        "#EXTINF:0.5,",
        "/named",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "#EXT-X-PART:DURATION=0.5",
        '#EXT-X-PART:URI="p"',
        '#EXT-X-PART:DURATION=x,URI="p"',
        '#EXT-X-PART:DURATION=-1,URI="p"',
        "#EXT-X-PART:DURATION=1,URI=p",
        '#EXT-X-PART:DURATION=1,URI=""',
        '#EXT-X-PART:DURATION=1,URI="p",BYTERANGE=5',
        '#EXT-X-PART:DURATION=1,URI="p",BYTERANGE="0"',
        '#EXT-X-PART:DURATION=1,URI="p",BYTERANGE="1@9223372036854775807"',
        '#EXT-X-PART:DURATION=1,URI="p",INDEPENDENT=1',
        "#EXT-X-PART-INF:PART-TARGET=1",  # the second
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=1",
        "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=soon",
        "#EXT-X-PRELOAD-HINT:TYPE=PART",
        '#EXT-X-PRELOAD-HINT:URI="p"',
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p",BYTERANGE-START=x',
        "#EXT-X-RENDITION-REPORT:LAST-MSN=1",
        '#EXT-X-RENDITION-REPORT:URI="r",LAST-MSN=x',
    ],
)
def test_what_a_server_must_not_write_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(PlaylistMalformed) as caught:
        read(line)
    assert caught.value.line == 4


@pytest.mark.parametrize("tag", ["PART:DURATION=1", "PRELOAD-HINT:TYPE=PART", "RENDITION-REPORT:LAST-MSN=1"])
def test_no_part_hint_or_report_leads_to_another_scheme(tag: str) -> None:
    with pytest.raises(PlaylistUnsupported, match="file:"):
        read(f'#EXT-X-{tag},URI="file:///etc/passwd"')


def test_parts_and_hints_have_their_limits() -> None:
    part = '#EXT-X-PART:DURATION=0.5,URI="p"'
    with pytest.raises(PlaylistTooLarge, match="parts_max above 2"):
        read(part, part, part, parts_max=2)
    hint = '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p"'
    with pytest.raises(PlaylistTooLarge, match="streams_max above 1"):
        read(hint, hint, streams_max=1)
