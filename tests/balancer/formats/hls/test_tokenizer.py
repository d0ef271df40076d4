"""Bytes to lines: what is let through, what is refused and with which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import NotAPlaylist, PlaylistError, PlaylistMalformed, PlaylistTooLarge
from shoal.balancer.formats.hls.tokenizer import Limits, join, shorten, tokenize

INSTEAD = [
    (b"", "is empty"),
    (b" \r\n \n", "white space"),
    (b"\xef\xbb\xbf#EXTM3U\n", "byte order mark"),
    ("#EXTM3U\n".encode("utf-16"), "UTF-16"),
    (b"<!DOCTYPE html><title>503</title>", "HTML page"),
    (b"\n  <HTML><body>Not Found", "HTML page"),
    (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "XML document"),
    (b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">', "DASH manifest"),
    (b'{"error": "not found"}', "JSON"),
    (b"\x1f\x8b\x08\x00" + bytes(20), "gzip"),
    (b"\x00\x00\x00\x18ftypiso6", "MP4"),
    (b"\x00\x00\x00\x18stypmsdh", "MP4"),
    (b"G" + bytes(187) + b"G" + bytes(187), "transport stream"),
    (b"WEBVTT\n\n", "subtitle"),
    (b"\x89PNG\r\n\x1a\n\x00\x00\x00", "binary (89 50 4e 47"),
    (b" #EXTM3U\n", "blank space before"),
    (b"#EXTM3U8\n#EXTINF:1,\na\n", "#EXTM3U8"),
    (b"#EXTINF:1,\na.ts\n", "begins with '#EXTINF:1,"),
    (b"404 page not found", "begins with '404 page not found'"),
]


@pytest.mark.parametrize(("data", "words"), INSTEAD, ids=[words for _, words in INSTEAD])
def test_what_came_instead_of_a_playlist_is_named(data, words):
    with pytest.raises(NotAPlaylist) as caught:
        tokenize(data)
    assert words in str(caught.value)
    assert caught.value.line == 1


def test_lines_end_with_lf_or_cr_lf_and_the_last_may_have_no_ending():
    lines = tokenize(b"#EXTM3U\r\n#EXTINF:4,\n\nseg.ts")
    assert [(line.number, line.text, line.ending) for line in lines] == [
        (1, "#EXTM3U", "\r\n"),
        (2, "#EXTINF:4,", "\n"),
        (3, "", "\n"),
        (4, "seg.ts", ""),
    ]


def test_a_line_is_a_tag_a_comment_a_uri_or_blank():
    lines = tokenize(b"#EXTM3U\n#EXTINF:4,Title\n# comment\n#not a tag\n  \nseg.ts\n")
    assert [line.name for line in lines] == ["EXTM3U", "EXTINF", "", "", "", ""]
    assert [line.is_uri for line in lines] == [False, False, False, False, False, True]
    assert lines[1].value == "4,Title"


def test_only_line_feeds_end_lines():
    # str.splitlines() would also split at U+2028, so that a title could smuggle a tag in.
    lines = tokenize("#EXTM3U\n#EXTINF:4,one\u2028#EXT-X-ENDLIST\n".encode())
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"#EXTM3U\n#EXTINF:4,\x00\n", 2, "U+0000"),
        (b"#EXTM3U\n\n\x1b[31m\n", 3, "U+001B"),
        ("#EXTM3U\nx\u0085y\n".encode(), 2, "U+0085"),
        (b"#EXTM3U\nseg\r.ts\n", 2, "CR without LF"),
        (b"#EXTM3U\n#EXTINF:4,caf\xe9\n", 2, "0xe9 at offset 21 is not UTF-8"),
        (b"#EXTM3U\n#EXTINF:4,\xed\xa0\x80\n", 2, "not UTF-8"),
    ],
)
def test_bytes_that_no_playlist_may_have_are_refused_with_their_line(data, line, words):
    with pytest.raises(PlaylistMalformed, match=words.replace("+", r"\+")) as caught:
        tokenize(data)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        (Limits(playlist_bytes_max=40), "playlist_bytes_max"),
        (Limits(lines_max=4), "lines_max"),
        (Limits(line_chars_max=20), "line_chars_max"),
    ],
)
def test_each_limit_is_named_when_it_is_passed(limits, field):
    data = b"#EXTM3U\n#EXTINF:4,\n#\n" + b"a" * 21 + b"\n"
    assert len(tokenize(data)) == 4
    with pytest.raises(PlaylistTooLarge, match=field):
        tokenize(data, limits)


def test_limits_are_on_by_default():
    with pytest.raises(PlaylistTooLarge, match="playlist_bytes_max"):
        tokenize(b"#EXTM3U\n" + b"#\n" * 1_100_000)
    with pytest.raises(PlaylistTooLarge, match="lines_max"):
        tokenize(b"#EXTM3U\n" + b"\n" * 300_000)


def test_a_long_value_is_shortened_in_messages():
    assert shorten("x" * 80) == repr("x" * 80)
    assert len(shorten("x" * 100_000)) < 100


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: b"#EXTM3U\n" + tail))
def test_any_bytes_are_lines_that_join_to_them_or_a_playlist_error(data):
    try:
        lines = tokenize(data)
    except PlaylistError:
        return
    assert join(lines) == data
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))


@given(st.text(st.characters(codec="utf-8") | st.sampled_from('\r\n#:,"='), max_size=200))
def test_any_text_survives_or_is_refused(text):
    data = f"#EXTM3U\n{text}".encode()
    try:
        lines = tokenize(data)
    except PlaylistError:
        return
    assert join(lines) == data
    assert all("\n" not in line.text for line in lines)
