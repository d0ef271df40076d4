"""Ranges of one segment from several peers: every byte once, in order, and what came with who sent it."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.balancer.integrity import BLOCK_BYTES
from shoal.balancer.stripes import Stripes

from ..effort import EFFORT

KIB = 1024


def test_the_front_is_asked_for_first_and_ranges_end_with_blocks() -> None:
    stripes = Stripes("ab", 10, 8 * BLOCK_BYTES)
    assert stripes.next_range("a", 0) == (10, BLOCK_BYTES)
    assert stripes.next_range("b", 0) == (BLOCK_BYTES, 2 * BLOCK_BYTES)
    assert stripes.idle() == []


def test_what_is_ahead_of_the_front_waits_for_it() -> None:
    stripes = Stripes("ab", 0, 4 * BLOCK_BYTES)
    stripes.next_range("a", 0)
    stripes.next_range("b", 0)
    assert stripes.add("b", b"2" * BLOCK_BYTES, 0) == []
    assert stripes.add("a", b"1" * 100, 0) == [("a", b"1" * 100)]
    rest = stripes.add("a", b"1" * (BLOCK_BYTES - 100), 0)
    assert [(peer, len(data)) for peer, data in rest] == [("a", BLOCK_BYTES - 100), ("b", BLOCK_BYTES)]


def test_the_rest_of_a_range_whose_peer_failed_goes_to_the_next_one() -> None:
    stripes = Stripes("abc", 0, 6 * BLOCK_BYTES)
    stripes.next_range("a", 0)
    stripes.next_range("b", 0)
    stripes.add("a", b"1" * 1000, 0)
    stripes.failed("a")
    assert stripes.next_range("c", 0) == (1000, BLOCK_BYTES)
    assert stripes.peers == ["b", "c"]
    assert stripes.add("c", b"3" * 10, 0) == [("c", b"3" * 10)]


def test_where_nobody_has_said_the_length_one_peer_is_asked_for_a_little() -> None:
    stripes = Stripes("ab", 0, None)
    assert stripes.next_range("a", 0) == (0, BLOCK_BYTES)
    assert stripes.next_range("b", 0) is None
    stripes.started(10 * BLOCK_BYTES)
    assert stripes.next_range("b", 0) == (BLOCK_BYTES, 3 * BLOCK_BYTES)


def test_a_segment_shorter_than_was_asked_for_ends_where_it_ends() -> None:
    stripes = Stripes("ab", 0, None)
    stripes.next_range("a", 0)
    stripes.started(500)
    assert stripes.add("a", b"1" * 500, 0) == [("a", b"1" * 500)]
    assert stripes.is_whole


def test_who_owes_bytes_and_says_nothing_is_silent() -> None:
    stripes = Stripes("abc", 0, 6 * BLOCK_BYTES)
    stripes.next_range("a", 0)
    stripes.next_range("b", 0)
    stripes.add("b", b"2", 400 * KIB)
    assert stripes.silent(500 * KIB, 300 * KIB) == ["a"]


@settings(max_examples=50 * EFFORT, deadline=None)
@given(
    first_byte=st.integers(0, 3 * BLOCK_BYTES),
    missing=st.integers(1, 14 * BLOCK_BYTES),
    peers=st.integers(1, 5),
    is_told=st.booleans(),
    data=st.data(),
)
def test_whoever_sends_what_and_fails_when_each_byte_is_handed_on_once_in_order(
    first_byte: int, missing: int, peers: int, is_told: bool, data: st.DataObject
) -> None:
    total = first_byte + missing
    body = (bytes(range(251)) * (total // 251 + 1))[:total]
    stripes = Stripes([f"p{n}" for n in range(peers)], first_byte, total if is_told else None)
    asked: dict[str, list[int]] = {}
    got = b""
    while not stripes.is_whole:
        for peer in stripes.idle():
            wanted = stripes.next_range(peer, 0)
            if wanted is not None:
                asked[peer] = [wanted[0], min(wanted[1], total)]
        assert asked, "somebody has something to do until all is there"
        spans = sorted(map(tuple, asked.values()))
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
        peer = data.draw(st.sampled_from(sorted(asked)))
        stripes.started(total)
        at, end = asked[peer]
        deed = data.draw(st.sampled_from(["some", "all", "all", "fail"]))
        if deed == "fail" and len(stripes.peers) > 1:
            stripes.failed(peer)
            del asked[peer]
            continue
        count = end - at if deed == "all" else min(end - at, 20_000)
        for who, piece in stripes.add(peer, body[at : at + count], 0):
            assert body[first_byte + len(got) :][: len(piece)] == piece
            assert who in {f"p{n}" for n in range(peers)}
            got += piece
        asked[peer][0] += count
        if asked[peer][0] == end:
            stripes.ended(peer)
            del asked[peer]
    assert got == body[first_byte:]
