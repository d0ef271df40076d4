"""EXT-X-DEFINE (draft-pantos-hls-rfc8216bis, 4.3 and 4.4.2.3)."""

import pytest

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge
from shoal.balancer.formats.hls import Limits, parse
from shoal.balancer.formats.hls.tokenizer import tokenize
from shoal.balancer.formats.hls.variables import resolve

URL = "https://cdn.example/main.m3u8?token=a%2Fb&empty=&quote=%22"


def resolved(*lines, imported=None, limits=None):
    data = "\n".join(["#EXTM3U", *lines]).encode()
    lines, variables = resolve(tokenize(data), URL, imported or {}, limits or Limits())
    return [line.text for line in lines[1:]], variables


def test_a_defined_name_is_substituted_in_uris_and_in_quoted_and_hexadecimal_values():
    texts, _ = resolved(
        '#EXT-X-DEFINE:NAME="path",VALUE="a/b"',
        '#EXT-X-DEFINE:NAME="iv",VALUE="0x1F"',
        '#EXT-X-KEY:METHOD=AES-128,URI="{$path}/key",IV={$iv}',
        "{$path}/{$path}.ts",
    )
    assert texts[2:] == ['#EXT-X-KEY:METHOD=AES-128,URI="a/b/key",IV=0x1F', "a/b/a/b.ts"]


def test_titles_comments_and_dates_are_left_alone():
    lines = ("#EXTINF:4,{$x}", "# {$x}", "#EXT-X-PROGRAM-DATE-TIME:{$x}")
    assert resolved('#EXT-X-DEFINE:NAME="x",VALUE="y"', *lines)[0][1:] == list(lines)


def test_in_tags_that_we_do_not_know_only_defined_names_are_substituted():
    texts, _ = resolved('#EXT-X-DEFINE:NAME="x",VALUE="y"', "#EXT-VENDOR:{$x}{$other}")
    assert texts[1] == "#EXT-VENDOR:y{$other}"


def test_a_name_counts_from_its_definition_on():
    with pytest.raises(PlaylistMalformed, match="'x' is not defined above") as caught:
        resolved("{$x}.ts", '#EXT-X-DEFINE:NAME="x",VALUE="y"')
    assert caught.value.line == 2


def test_what_was_put_in_is_not_looked_at_again():
    texts, variables = resolved(
        '#EXT-X-DEFINE:NAME="brace",VALUE="{"', '#EXT-X-DEFINE:NAME="x",VALUE="{$brace}$x}"', "{$x}.ts"
    )
    assert variables["x"] == "{$x}"
    assert texts[2] == "{$x}.ts"


def test_a_name_is_imported_from_the_multivariant_playlist():
    assert resolved('#EXT-X-DEFINE:IMPORT="x"', "{$x}.ts", imported={"x": "y"})[0][1] == "y.ts"


def test_the_names_of_a_multivariant_playlist_reach_its_media_playlists():
    main = parse(
        b'#EXTM3U\n#EXT-X-DEFINE:NAME="host",VALUE="https://b.example"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n', URL
    )
    media = parse(
        b'#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-DEFINE:IMPORT="host"\n#EXTINF:4,\n{$host}/a.ts\n',
        URL,
        variables=main.variables,
    )
    assert media.segments[0].uri == "https://b.example/a.ts"


def test_a_name_is_taken_from_the_query_of_the_playlist():
    assert resolved('#EXT-X-DEFINE:QUERYPARAM="token"', "{$token}.ts")[0][1] == "a/b.ts"


@pytest.mark.parametrize(
    ("define", "words"),
    [
        ('VALUE="y"', "none of NAME"),
        ('NAME="x",IMPORT="x"', "NAME and IMPORT"),
        ('NAME="x"', "has no VALUE"),
        ('NAME="x y",VALUE="z"', "letters, digits"),
        ('NAME="",VALUE="z"', "letters, digits"),
        ('NAME="old",VALUE="z"', "defined already"),
        ('IMPORT="x"', "not defined by the multivariant playlist"),
        ('QUERYPARAM="x"', "no query parameter 'x'"),
        ('QUERYPARAM="empty"', "give it a value"),
        ('QUERYPARAM="quote"', "without quotes"),
    ],
)
def test_a_wrong_definition_is_refused(define, words):
    with pytest.raises(PlaylistMalformed, match=words) as caught:
        resolved('#EXT-X-DEFINE:NAME="old",VALUE="v"', f"#EXT-X-DEFINE:{define}")
    assert caught.value.line == 3


def test_doubling_does_not_make_a_large_playlist_of_a_small_one():
    doublings = [f'#EXT-X-DEFINE:NAME="v{n + 1}",VALUE="{{$v{n}}}{{$v{n}}}"' for n in range(100)]
    with pytest.raises(PlaylistTooLarge, match="line_chars_max"):
        resolved('#EXT-X-DEFINE:NAME="v0",VALUE="0123456789"', *doublings)


def test_many_large_lines_do_not_either():
    value = "x" * 60_000
    with pytest.raises(PlaylistTooLarge, match="playlist_bytes_max"):
        resolved(f'#EXT-X-DEFINE:NAME="v",VALUE="{value}"', *["{$v}"] * 100)


def test_the_number_of_definitions_is_limited():
    defines = [f'#EXT-X-DEFINE:NAME="v{n}",VALUE=""' for n in range(3)]
    with pytest.raises(PlaylistTooLarge, match="variables_max above 2"):
        resolved(*defines, limits=Limits(variables_max=2))
