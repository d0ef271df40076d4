"""Who only takes is served while nobody else is."""

from shoal.balancer.choking import Choking


def choking(*holders: str) -> Choking:
    made = Choking()
    for holder in holders:
        made.heard(holder, 1)
    return made


def test_who_holds_nothing_waits_while_an_upload_to_somebody_runs_who_does_and_no_longer() -> None:
    made = choking("giver")
    made.begin("rider")
    assert not made.must_wait("rider")
    made.begin("giver")
    assert made.must_wait("rider")
    assert not made.must_wait("giver")
    made.end("giver")
    assert not made.must_wait("rider")


def test_a_newcomer_waits_no_longer_once_it_holds_something() -> None:
    made = choking("giver")
    made.begin("giver")
    assert made.must_wait("new")
    made.heard("new", 1)
    assert not made.must_wait("new")


def test_free_riders_do_not_wait_for_each_other() -> None:
    made = choking()
    made.begin("one")
    made.begin("two")
    assert not made.must_wait("one")
    assert not made.must_wait("two")


def test_who_gave_us_something_rides_free_no_more_whatever_it_holds() -> None:
    made = choking()
    made.heard("giver", 0)
    made.got("giver")
    assert not made.rides_free("giver")


def test_who_refuses_again_and_again_what_it_announced_rides_free_until_it_gives() -> None:
    made = choking("liar")
    for _ in range(2):
        made.refused("liar")
    assert not made.rides_free("liar")
    made.refused("liar")
    assert made.rides_free("liar")
    made.got("liar")
    assert not made.rides_free("liar")


def test_who_leaves_is_forgotten_and_nobody_waits_for_it() -> None:
    made = choking("giver")
    made.begin("giver")
    made.leave("giver")
    assert not made.must_wait("rider")
    assert made.rides_free("giver")
