"""Paths name resources, and nothing but resources."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.paths import MULTIVARIANT, key_of, path_of, playlist_path, rendition_of

KEYS = st.builds(
    ResourceKey,
    rendition=st.integers(0, 999_999),
    kind=st.sampled_from(list(Kind)),
    number=st.integers(0, 2**53 - 1),
)


# Escapes are rare in any text, and are what matters here.
NAMES = st.lists(st.sampled_from(["%2F", "%2f", "%25", "%", "2F", "/", "..", "a.ts"]) | st.text(max_size=5)).map(
    "".join
)


@given(KEYS, NAMES)
def test_a_path_leads_back_to_its_key_whatever_the_origin_calls_the_file(key: ResourceKey, name: str) -> None:
    path = path_of(key, f"https://cdn.example/v/{name}")
    for seen in (path, unquote(path)):  # as it is written, and as servers hand it on
        assert key_of(seen) == key
        assert rendition_of(seen) is None


@given(st.integers(0, 999_999), NAMES)
def test_a_playlists_path_leads_back_to_its_rendition(rendition: int, name: str) -> None:
    path = playlist_path(rendition, f"https://cdn.example/v/{name}")
    for seen in (path, unquote(path)):
        assert rendition_of(seen) == rendition
        assert key_of(seen) is None


@given(KEYS, st.text())
def test_a_path_is_one_line_of_printable_ascii_within_a_players_limits(key: ResourceKey, name: str) -> None:
    path = path_of(key, f"https://cdn.example/v/{name}")
    assert path.isascii()
    assert path.isprintable()
    assert not set(path) & set(" ?#\"'\\")
    assert len(path) <= 160


@given(st.text())
def test_any_text_names_a_resource_or_nothing_and_never_both_kinds(path: str) -> None:
    assert key_of(path) is None or rendition_of(path) is None


@pytest.mark.parametrize(
    ("uri", "last"),
    [
        ("https://cdn.example/v/hd_017.m4s", "hd_017.m4s"),
        ("https://cdn.example/v/hd_017.m4s?token=secret&x=1#part", "hd_017.m4s"),
        ("https://cdn.example/v/", "resource"),
        ("https://cdn.example", "resource"),
        ("https://cdn.example/v/a%20b.ts", "a%20b.ts"),
        ("https://cdn.example/v/a b.ts", "a%20b.ts"),
        ("https://cdn.example/v/b%2Fhd%2fa.ts", "b_hd_a.ts"),
        ("https://cdn.example/v/" + "x" * 500 + ".ts", "x" * 117 + ".ts"),
    ],
)
def test_the_last_part_is_the_origins_file_name_without_its_query(uri: str, last: str) -> None:
    assert path_of(ResourceKey(2, Kind.MEDIA, 17), uri) == f"/media/2/17/{last}"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        MULTIVARIANT,
        "/media/2/17",
        "/media/2/17/a/b",
        "media/2/17/a",
        "/media/-1/17/a",
        "/media/2/1e3/a",
        "/media/2/+7/a",
        "/media/2/ 7/a",
        "/media/1234567/0/a",
        "/media/0/12345678901234567/a",
        "/media/٣/0/a",
        "/Media/0/0/a",
        "/playlist/0/0/a",
        "//media/0/0/a",
        "/x/media/0/0/a",
    ],
)
def test_what_is_no_path_of_ours_names_nothing(path: str) -> None:
    assert key_of(path) is None
    assert rendition_of(path) is None
