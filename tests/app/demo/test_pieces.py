"""Every byte of a segment is shown with the source whose bytes were kept."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.app.demo.pieces import MISSING, WRONG, cells_of, clean, marks_of, notes_on, pieces_of, seconds_of
from shoal.balancer.report import SourceState

from .stories import HOSTILE, part, polluted_and_failed_over, segment

CASES = [
    ("nothing yet", segment(0), []),
    ("one source", segment(0, part("a", 0, 10), byte_count=10), [(0, 10, "a", False)]),
    ("half of it", segment(0, part("a", 0, 4), byte_count=10), [(0, 4, "a", False), (4, 10, None, False)]),
    (
        "another went on",
        segment(0, part("a", 0, 4, 1), part("b", 4, 6, 2), byte_count=10),
        [(0, 4, "a", False), (4, 10, "b", False)],
    ),
    (
        "the later one replaces",
        segment(0, part("a", 0, 6, 1), part("b", 4, 6, 2), byte_count=10),
        [(0, 4, "a", False), (4, 10, "b", False)],
    ),
    (
        "wrong and not replaced yet",
        segment(0, part("a", 0, 6, 1, outcome="wrong"), byte_count=6),
        [(0, 6, "a", True)],
    ),
    (
        "wrong ones give way even to earlier ones",
        segment(0, part("a", 0, 6, 5, outcome="wrong"), part("b", 0, 6, 1), byte_count=6),
        [(0, 6, "b", False)],
    ),
    (
        "two transfers of one source are one piece",
        segment(0, part("a", 0, 4, 1), part("a", 4, 6, 2), byte_count=10),
        [(0, 10, "a", False)],
    ),
]


@pytest.mark.parametrize(("name", "story", "pieces"), CASES, ids=[name for name, *_ in CASES])
def test_pieces(name, story, pieces):
    assert [tuple(piece) for piece in pieces_of(story)] == pieces


def test_what_came_right_before_the_wrong_block_is_the_peers():
    assert [tuple(piece) for piece in pieces_of(polluted_and_failed_over())] == [
        (0, 100, "peer:x", False),
        (100, 400, "cdn:good", False),
    ]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.integers(0, 50), st.integers(0, 9)), max_size=8),
    st.integers(1, 80),
)
def test_pieces_cover_the_segment_without_gap_or_overlap(rows, total):
    pieces = pieces_of(segment(0, *(part(*row) for row in rows), byte_count=total))
    assert pieces[0].first_byte == 0
    assert pieces[-1].end_byte == total
    assert all(one.end_byte == two.first_byte for one, two in itertools.pairwise(pieces))
    assert all(piece.first_byte < piece.end_byte for piece in pieces)


def test_cells_show_marks_and_what_is_missing_and_wrong():
    story = segment(0, part("a", 0, 5, 1), part("b", 5, 2, 2, outcome="wrong"), byte_count=10)
    cells = cells_of(story, {"a": "A", "b": "b"}, 10)
    assert "".join(mark for mark, _ in cells) == "AAAAA" + WRONG * 2 + MISSING * 3
    assert cells_of(segment(0), {}, 3) == [(MISSING, None)] * 3


def test_marks_are_capitals_for_cdns_and_small_letters_for_peers():
    names = ["cdn:x", "peer:y", "cdn:z", *(f"peer:{number}" for number in range(30))]
    marks = marks_of([SourceState(name=name) for name in names])
    assert [marks[name] for name in names[:4]] == ["A", "a", "B", "b"]
    assert marks["peer:29"] == "?"


def test_shown_text_has_no_control_characters_and_an_end():
    assert clean(HOSTILE).isprintable()
    assert len(clean("x" * 1000)) == 60
    assert clean("x" * 1000).endswith("…")


def test_the_notes_of_a_segment_say_what_happened():
    assert notes_on(polluted_and_failed_over()) == ["wrong bytes caught", "went on elsewhere in its body"]
    assert notes_on(segment(0, failed_over=True, error="gone")) == ["went on elsewhere", "gone"]
    assert seconds_of(polluted_and_failed_over()) == 0.4
