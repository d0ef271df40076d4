"""When parts play, read off the requests for them."""

from shoal.balancer.config import BalancerConfig
from shoal.balancer.model import Kind, ResourceKey, Segment
from shoal.balancer.windows import Timeline

SECOND = 1_000_000
LENGTH = SECOND // 4


def key(number: int) -> ResourceKey:
    return ResourceKey(0, Kind.PART, number)


def parts(numbers: range) -> tuple[Segment, ...]:
    return tuple(Segment(key=key(n), uri=f"{n}.m4s", start_us=n * LENGTH, duration_us=LENGTH) for n in numbers)


def timeline(numbers: range = range(40)) -> Timeline:
    line = Timeline(BalancerConfig())
    line.replace(parts(numbers), is_live=True)
    return line


def ask(line: Timeline, number: int, at_us: int, *, took_us: int = 0) -> None:
    line.part_requested(key(number), at_us)
    line.delivered(key(number), at_us + took_us)


def test_before_a_part_has_come_nothing_is_due():
    line = timeline()
    line.part_requested(key(5), 0)
    assert line.deadline_us(key(5)) is None


def test_the_first_part_that_comes_starts_the_clock():
    line = timeline()
    ask(line, 5, SECOND, took_us=LENGTH)
    assert line.deadline_us(key(5)) == SECOND + LENGTH
    assert line.deadline_us(key(8)) == SECOND + 4 * LENGTH
    assert line.deadline_us(key(99)) is None


def test_a_part_that_comes_late_makes_all_that_follow_due_later():
    line = timeline()
    ask(line, 0, 0)
    ask(line, 1, LENGTH // 2, took_us=LENGTH)
    assert line.deadline_us(key(2)) == LENGTH // 2 + 2 * LENGTH


def test_a_part_that_is_asked_for_late_was_waited_for_by_nobody():
    line = timeline()
    ask(line, 0, 0)
    line.part_requested(key(1), 60 * SECOND)
    assert line.deadline_us(key(1)) == 60 * SECOND


def test_a_gap_is_no_seek_and_a_jump_is_one():
    for number, is_seek in ((2, False), (3, True), (20, True), (0, False)):
        line = timeline()
        ask(line, 0, 0)
        line.part_requested(key(number), 1)
        assert (line.deadline_us(key(number)) is None) == is_seek


def test_parts_that_leave_the_playlist_take_no_time_with_them():
    line = timeline()
    ask(line, 0, 0)
    line.replace(parts(range(1, 41)), is_live=True)
    line.part_requested(key(1), 1)
    assert line.deadline_us(key(1)) == LENGTH
    assert line.deadline_us(key(0)) is None


def test_parts_are_no_segments_and_nothing_is_fetched_ahead_of_them():
    line = timeline()
    ask(line, 0, 0)
    assert line.segments == ()
    assert line.find(key(1)) is None
    assert line.listed(key(1)) is not None
    assert line.ahead(0) == ()
