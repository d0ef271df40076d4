"""URIs are made fit to be fetched, and those that are fit stay as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.uris import encoded
from shoal.transports.sansio.addresses import check_text


@pytest.mark.parametrize(
    ("uri", "right"),
    [
        ("https://cdn.example/my video 0.ts", "https://cdn.example/my%20video%200.ts"),
        ("https://cdn.example/é/a.ts?title=ü x#y z", "https://cdn.example/%C3%A9/a.ts?title=%C3%BC%20x#y%20z"),
        ("https://köln.example/ä.ts", "https://köln.example/%C3%A4.ts"),
        ("//köln.example?ä", "//köln.example?%C3%A4"),
        ("ein ß.ts", "ein%20%C3%9F.ts"),
        ("https://cdn.example/a%20b%2Fc.ts?s=%7E~'!$", "https://cdn.example/a%20b%2Fc.ts?s=%7E~'!$"),
        ("https://cdn.example/😀", "https://cdn.example/%F0%9F%98%80"),
    ],
)
def test_blanks_and_what_is_not_ascii_are_encoded(uri: str, right: str) -> None:
    assert encoded(uri) == right
    assert encoded(right) == right


@given(st.text(st.characters(exclude_characters="\\", exclude_categories=("Cs",)), max_size=50))
def test_whatever_is_encoded_may_be_sent(path: str) -> None:
    check_text(encoded(f"http://cdn.example/{path}"))
