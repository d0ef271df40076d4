"""How deep JSON is nested is found out without recursion, whatever its strings say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shoal.transports.sansio.nesting import NESTING_MAX, is_nested_deeper

TEXTS = st.text(alphabet=st.sampled_from('[]{}"\\,:aü\n'), max_size=8)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=20,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@example("[", 0, False)  # once found by chance
@given(VALUES, st.integers(0, 6), st.booleans())
def test_it_is_as_deep_as_a_parser_finds_it(value: Any, depth_max: int, ascii_only: bool):
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert is_nested_deeper(data, depth_max) == (depth_of(value) > depth_max)


@pytest.mark.parametrize("opening", [b"[", b'{"x":', b'[{"\\"]":'])
def test_what_is_not_closed_is_too_deep(opening: bytes):
    assert is_nested_deeper(opening * 100_000)


@pytest.mark.parametrize("data", [b"", b"[", b'"[[[', b"]" * 100_000, b'{"a": "' + b"[" * 100_000 + b'"}', b"\xff\xfe"])
def test_what_holds_no_nesting_is_left_to_the_parser(data: bytes):
    assert not is_nested_deeper(data)


def test_open_strings_and_backslashes_cost_no_more_than_their_length():
    assert not is_nested_deeper(b'"' + b"\\" * 1_000_001)
    assert is_nested_deeper(b'["' * 100_000 + b"\\")


def test_the_deepest_that_is_allowed_is_not_too_deep():
    assert not is_nested_deeper(b"[" * NESTING_MAX + b"]" * NESTING_MAX)
    assert is_nested_deeper(b"[" * (NESTING_MAX + 1) + b"]" * (NESTING_MAX + 1))
