"""Which bytes an audit looks at, what it costs at most, and how likely it finds a change."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer import audit
from shoal.balancer.audit import SHARE_MAX, budget_bytes, cost_of, detection, numbers_wanted, ranges_of
from shoal.balancer.model import ByteRange

numbers = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=64)


@st.composite
def pieces(draw: st.DrawFn) -> list[ByteRange]:
    """What peers sent of a segment, apart from each other and in order."""
    found, at = [], 0
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 3_000_000)), max_size=6)):
        found.append(ByteRange(at + gap, length))
        at += gap + length
    return found


@given(pieces(), st.floats(0.0, 1.0), numbers, st.integers(1, 64))
def test_ranges_and_their_heads_cost_at_most_the_share_of_what_peers_sent(sent, share, drawn, most) -> None:
    byte_count = sum(piece.length for piece in sent)
    ranges = ranges_of(sent, budget_bytes(byte_count, share), drawn, most)
    assert len(ranges) <= min(numbers_wanted(sent, most), len(drawn))
    assert cost_of(ranges) <= share * byte_count
    assert cost_of(ranges) <= SHARE_MAX * byte_count
    for one in ranges:
        assert one.length > 0
        assert any(_is_within(one, piece) for piece in sent)


@given(pieces(), st.integers(0, 10**6), st.integers(1, 8), st.data())
def test_each_piece_is_looked_at_or_none_is(sent, budget, most, data) -> None:
    count = numbers_wanted(sent, most)
    drawn = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=count, max_size=count))
    ranges = ranges_of(sent, budget, drawn, most)
    assert cost_of(ranges) <= budget
    if ranges:
        assert all(any(_is_within(one, piece) for one in ranges) for piece in sent)


@given(pieces(), numbers)
def test_ranges_begin_at_the_bytes_that_were_drawn_among_all_that_peers_sent(sent, drawn) -> None:
    total = sum(piece.length for piece in sent)
    ranges = ranges_of(sent, 10**9, drawn, len(drawn))
    for number, one in zip(drawn, ranges, strict=False):
        before = sum(min(piece.length, max(0, one.offset - piece.offset)) for piece in sent)
        assert before == number % total


def _is_within(one: ByteRange, piece: ByteRange) -> bool:
    return piece.offset <= one.offset and one.offset + one.length <= piece.offset + piece.length


@pytest.mark.parametrize(("byte_count", "count"), [(0, 0), (20_000, 0), (23_200, 1), (100_000, 4), (60_000_000, 4)])
def test_a_small_segment_is_looked_at_in_fewer_places_or_not_at_all(byte_count: int, count: int) -> None:
    ranges = ranges_of([ByteRange(0, byte_count)], budget_bytes(byte_count, SHARE_MAX), [1, 2, 3, 4], 4)
    assert len(ranges) == count


@pytest.mark.parametrize("changed_share", [1.0, 0.5, 0.25, 0.1, 0.01])
def test_a_change_is_found_at_least_as_often_as_stated(changed_share: float) -> None:
    source, byte_count, tries = random.Random(f"{changed_share}"), 1_000_000, 4_000
    found = 0
    for _ in range(tries):
        ranges = ranges_of([ByteRange(0, byte_count)], 20_000, [source.getrandbits(64) for _ in range(4)], 4)
        first = source.randrange(byte_count)  # where it begins; it goes on at the beginning if need be
        changed = round(changed_share * byte_count)
        found += any((one.offset - first) % byte_count < changed for one in ranges)
    # Five standard deviations of a binomial below what is stated: once in three million runs by chance.
    stated = detection(changed_share, 4)
    assert found / tries >= stated - 5 * (stated * (1 - stated) / tries) ** 0.5


def test_the_table_in_the_docs_is_what_the_function_gives() -> None:
    shares = {
        "all of it": 1.0,
        "a half": 0.5,
        "a quarter": 0.25,
        "a tenth": 0.1,
        "a hundredth": 0.01,
        "64 bytes of 1 MB": 64 / 1e6,
    }
    text = Path(audit.__file__).read_text()
    for name, share in shares.items():
        row = re.search(rf"^    {name} +([\d.]+) +([\d.]+) +([\d.]+)$", text, re.MULTILINE)
        assert row is not None, name
        for said, segments in zip(row.groups(), (1, 5, 20), strict=True):
            digits = len(said.partition(".")[2])
            assert round(detection(share, 4, segments), digits) == float(said), (name, segments)
