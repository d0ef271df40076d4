"""The playback clock, read off the player's requests, and the window ahead of it."""

from shoal.balancer.config import BalancerConfig
from shoal.balancer.model import Kind, ResourceKey, Segment
from shoal.balancer.windows import Timeline

SECOND = 1_000_000
LENGTH = 4 * SECOND


def key(number: int) -> ResourceKey:
    return ResourceKey(0, Kind.MEDIA, number)


def timeline(numbers: range = range(40)) -> Timeline:
    line = Timeline(BalancerConfig())
    fill(line, numbers)
    return line


def fill(line: Timeline, numbers: range) -> None:
    segments = tuple(Segment(key=key(n), uri=f"{n}.m4s", start_us=n * LENGTH, duration_us=LENGTH) for n in numbers)
    line.replace(segments, is_live=False)


def ask(line: Timeline, number: int, at_us: int, *, took_us: int = 0) -> None:
    line.requested(key(number), at_us)
    line.delivered(key(number), at_us + took_us)


def numbers(line: Timeline, now_us: int) -> list[int]:
    return [segment.key.number for segment in line.ahead(now_us)]


def test_nothing_is_due_before_something_plays():
    line = timeline()
    line.requested(key(5), 0)
    assert line.deadline_us(key(6)) is None


def test_the_first_delivered_segment_starts_the_clock():
    line = timeline()
    ask(line, 5, 0, took_us=SECOND)
    assert line.deadline_us(key(5)) == SECOND
    assert line.deadline_us(key(7)) == SECOND + 2 * LENGTH
    assert line.deadline_us(key(99)) is None


def test_a_late_delivery_made_the_player_wait_so_all_that_follows_is_due_later():
    line = timeline()
    ask(line, 0, 0)
    ask(line, 1, SECOND, took_us=5 * SECOND)
    assert line.deadline_us(key(2)) == 6 * SECOND + LENGTH


def test_a_late_request_right_after_a_delivery_finds_an_empty_buffer():
    line = timeline()
    ask(line, 0, 0)
    ask(line, 1, LENGTH - SECOND // 10)
    line.requested(key(2), 2 * LENGTH)
    line.delivered(key(2), 2 * LENGTH)
    line.requested(key(3), 3 * LENGTH + SECOND // 2)
    assert line.deadline_us(key(3)) == 3 * LENGTH + SECOND // 2


def test_a_player_that_paused_comes_back_with_its_usual_buffer():
    line = timeline()
    for number in range(4):
        ask(line, number, number)  # fills its buffer of three segments at once
    ask(line, 4, LENGTH)
    ask(line, 5, 2 * LENGTH)
    lead_us = line.deadline_us(key(5)) - 2 * LENGTH
    assert lead_us == 3 * LENGTH
    paused_until_us = 600 * SECOND
    line.requested(key(6), paused_until_us)
    assert line.deadline_us(key(6)) == paused_until_us + lead_us


def test_a_seek_starts_the_clock_anew():
    line = timeline()
    ask(line, 0, 0)
    line.requested(key(20), SECOND)
    assert line.deadline_us(key(20)) is None
    line.delivered(key(20), 2 * SECOND)
    assert line.deadline_us(key(21)) == 2 * SECOND + LENGTH
    line.requested(key(3), 3 * SECOND)
    assert line.deadline_us(key(3)) is None


def test_asking_again_for_the_newest_or_one_just_before_is_no_seek():
    line = timeline()
    ask(line, 0, 0)
    ask(line, 1, 1)
    ask(line, 2, 1)
    for number in (0, 1, 2):
        line.requested(key(number), 2)
    assert line.deadline_us(key(1)) == LENGTH


def test_the_window_follows_the_newest_request_and_is_bounded_by_time_and_count():
    line = timeline()
    assert numbers(line, 0) == []
    line.requested(key(3), 0)
    assert numbers(line, 0) == [4, 5, 6, 7, 8]  # 20 s
    short = Timeline(BalancerConfig(prefetch_segments=2))
    fill(short, range(40))
    short.requested(key(3), 0)
    assert numbers(short, 0) == [4, 5]


def test_the_window_ends_with_the_playlist():
    line = timeline(range(5))
    line.requested(key(3), 0)
    assert numbers(line, 0) == [4]


def test_a_live_window_that_slid_past_the_newest_request_goes_on_behind_it():
    line = timeline()
    line.requested(key(3), 0)
    fill(line, range(5, 9))
    assert numbers(line, 0) == [5, 6, 7, 8]
    fill(line, range(2))
    assert numbers(line, 0) == []


def test_a_rendition_that_is_not_asked_for_any_more_wants_nothing():
    line = timeline()
    line.requested(key(0), 0)
    assert numbers(line, 15 * SECOND)
    assert numbers(line, 15 * SECOND + 1) == []
    line.requested(key(1), 20 * SECOND)
    assert numbers(line, 20 * SECOND)
    line.switched_away()
    assert numbers(line, 20 * SECOND) == []


def elsewhere(number: int) -> Segment:
    return Segment(key=ResourceKey(1, Kind.MEDIA, number), uri=f"b{number}.m4s", duration_us=LENGTH)


def test_a_rendition_that_was_only_looked_into_wants_nothing_once_the_player_went_on_in_another():
    line = timeline()
    ask(line, 0, 0)
    for number in range(3):
        line.requested_elsewhere(elsewhere(number))
    assert numbers(line, 0)
    line.requested_elsewhere(elsewhere(3))
    assert not numbers(line, 0)
    ask(line, 1, 0)
    assert numbers(line, 0)


def test_two_renditions_that_play_in_turns_are_both_prefetched():
    line = timeline()
    for number in range(10):
        ask(line, number, number * LENGTH)
        line.requested_elsewhere(elsewhere(number))
        assert numbers(line, number * LENGTH)


def test_a_switch_between_renditions_of_one_timeline_keeps_the_clock():
    line, other = timeline(), timeline()
    ask(line, 0, 0, took_us=SECOND)
    other.take_over(line)
    other.requested(key(3), 2 * SECOND)
    assert other.deadline_us(key(3)) == SECOND + 3 * LENGTH


def test_other_kinds_than_media_have_no_deadline():
    line = Timeline(BalancerConfig())
    init = ResourceKey(0, Kind.INIT, 0)
    line.replace((Segment(key=init, uri="init.mp4"),), is_live=False)
    assert line.segments == ()
    line.requested(init, 0)
    assert line.newest is None
