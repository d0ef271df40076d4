"""What a player's requests say of how it fares, in the words of CMCD."""

from __future__ import annotations

import pytest

from shoal.balancer.formats.cmcd import KEYS
from shoal.balancer.model import Kind, ResourceKey, Segment
from shoal.balancer.player_states import AWAITED_MAX, PlayerStates

SECOND = 1_000_000
LENGTH_US = 4 * SECOND


def segment(number: int, rendition: int = 0, kind: Kind = Kind.MEDIA) -> Segment:
    return Segment(
        key=ResourceKey(rendition, kind, number),
        uri=f"https://a.example/{rendition}/{number}.ts",
        duration_us=LENGTH_US,
        start_us=number * LENGTH_US,
    )


class Player:
    """Asks for segments and gets them; the first one's arrival is when it begins to play."""

    def __init__(self) -> None:
        self.states = PlayerStates()
        self.seen = ""
        self._origin_us: int | None = None

    def asks(self, number: int, at_us: int, *, rendition: int = 0, **more: bool) -> None:
        one = segment(number, rendition)
        deadline_us = None if self._origin_us is None else self._origin_us + one.start_us
        self._see(self.states.asked(one, deadline_us, at_us, **more))

    def gets(self, number: int, at_us: int, *, rendition: int = 0) -> None:
        if self._origin_us is None or self._origin_us + number * LENGTH_US < at_us:
            self._origin_us = at_us - number * LENGTH_US
        self._see(self.states.came(segment(number, rendition).key, at_us))

    def waits(self, at_us: int) -> None:
        self._see(self.states.passed(at_us))

    def _see(self, states: list[str]) -> None:
        self.seen += "".join(states)
        assert set(states) <= KEYS["sta"].words


def begun() -> Player:
    player = Player()
    player.asks(0, 0)
    player.gets(0, SECOND)
    return player


def test_it_starts_and_plays_and_all_that_comes_in_time_changes_nothing() -> None:
    player = begun()
    for number in range(1, 20):
        player.asks(number, number * SECOND)
        player.gets(number, number * SECOND + 1)
    assert player.seen == "sp"
    assert player.states.due_us() is None


def test_it_rebuffers_from_when_a_segment_is_due_until_it_is_there() -> None:
    player = begun()
    player.asks(1, SECOND)
    assert player.states.due_us() == 5 * SECOND
    player.waits(5 * SECOND - 1)
    assert player.seen == "sp"
    player.waits(5 * SECOND)
    assert player.states.due_us() is None
    player.gets(1, 9 * SECOND)
    assert player.seen == "sprp"


def test_it_plays_when_the_last_of_what_is_due_is_there() -> None:
    player = begun()
    player.asks(1, SECOND)
    player.asks(1, SECOND, rendition=1)
    player.waits(6 * SECOND)
    player.gets(1, 7 * SECOND)
    assert player.seen == "spr"
    player.gets(1, 8 * SECOND, rendition=1)
    assert player.seen == "sprp"


@pytest.mark.parametrize("to", [30, 200])
def test_it_seeks_where_it_asks_for_something_far_away(to: int) -> None:
    player = begun()
    player.asks(100, 2 * SECOND)
    player.gets(100, 3 * SECOND)
    assert player.seen == "spkp"
    player.asks(to, 4 * SECOND)
    player.waits(1_000 * SECOND)  # it is not due: nothing plays
    player.gets(to, 5 * SECOND)
    assert player.seen == "spkpkp"


def test_what_is_there_already_is_played_at_once() -> None:
    player = Player()
    player.asks(0, 0, is_there=True)
    player.asks(50, 0, is_there=True)
    assert player.seen == "spkp"


def test_switches_and_segments_that_are_asked_for_in_turns_are_no_seeks() -> None:
    player = begun()
    for number, rendition in ((1, 1), (2, 0), (1, 0), (3, 1), (4, 0), (2, 1)):
        player.asks(number, SECOND, rendition=rendition)
        player.gets(number, SECOND, rendition=rendition)
    assert player.seen == "sp"


def test_parts_are_no_seeks_however_short_they_are() -> None:
    states = PlayerStates()
    for number in (0, 100):
        assert states.asked(segment(number, kind=Kind.PART), None, 0) == (["s"] if number == 0 else [])


def test_a_segment_that_the_player_gives_up_is_not_waited_for() -> None:
    player = begun()
    player.asks(1, SECOND)
    player.states.left(segment(1).key)
    player.waits(100 * SECOND)
    assert player.seen == "sp"
    player.states.left(segment(7).key)  # which it never wanted


def test_a_video_ends_when_its_last_segment_is_over_and_begins_anew() -> None:
    player = begun()
    player.asks(1, SECOND, is_last=True)
    player.gets(1, 2 * SECOND)
    assert player.states.due_us() == 9 * SECOND
    player.waits(9 * SECOND)
    assert player.seen == "spe"
    player.waits(10 * SECOND)
    player.asks(0, 11 * SECOND)
    player.gets(0, 12 * SECOND)
    assert player.seen == "spekp"


def test_what_is_awaited_is_bounded() -> None:
    player = begun()
    for number in range(1, 3 * AWAITED_MAX):
        player.asks(number, SECOND)
    assert len(player.states._awaited) == AWAITED_MAX
