"""When peers are told what we hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shoal.balancer.actors.messages import (
    Announce,
    AnnounceNow,
    ChannelOpened,
    Close,
    HoldsAll,
    LinksMax,
    MayBegin,
    MayUpload,
    PeerGone,
    PeerMet,
)
from shoal.balancer.actors.neighbours import GAVE_WAY, Neighbours
from shoal.balancer.actors.reporter import PEERS_MAX
from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import PeerAnnounced
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.uploads import Turn


class Told(list[Any]):
    """Stands for the ref of any actor."""

    def tell(self, message: Any) -> None:
        self.append(message)


class Session:
    """Stands for the session: starts nothing, and keeps timers as they were asked for."""

    now_us = 0
    ref = None

    def __init__(self) -> None:
        self.timers: list[tuple[Any, int]] = []
        self.peer = Told()

    def spawn(self, *_: Any, **__: Any) -> Told:
        return self.peer

    def start_task(self, task: Any, *, name: str) -> None:
        pass

    def start_timer(self, key: str, message: Any, *, delay_us: int) -> None:
        self.timers.append((message, delay_us))


def with_one_peer(**config: int) -> tuple[Neighbours, Session]:
    session = Session()
    parts = SimpleNamespace(config=BalancerConfig(**config), tamper=None, are_peers_allowed=True)
    transfers = SimpleNamespace(from_cdns=lambda _: (), of_source=lambda _: ())
    neighbours = Neighbours(session, parts, transfers, reporter=Told(), storage=Told())  # type: ignore[arg-type]
    neighbours._places.use(0, 0)  # as in its swarm
    channel: Any = SimpleNamespace(fingerprint=None, remote_address="192.0.2.1", is_relayed=False)
    joined = neighbours.take(ChannelOpened(0, "p", channel))
    assert joined is not None
    neighbours.welcome(joined)
    return neighbours, session


@pytest.mark.parametrize(
    ("address", "is_relayed", "place"),
    [("8.8.8.8", False, "8.8.8.8"), ("8.8.8.8", True, "relay 8.8.8.8"), (None, True, None)],
)
def test_the_address_of_a_relay_is_known_as_one(address: str | None, is_relayed: bool, place: str | None) -> None:
    neighbours, _ = with_one_peer()
    channel: Any = SimpleNamespace(fingerprint=None, remote_address=address, is_relayed=is_relayed)
    joined = neighbours.take(ChannelOpened(0, "q", channel))
    assert joined is not None
    assert joined.address == place


def hold(neighbours: Neighbours, numbers: range) -> None:
    for number in numbers:
        neighbours.hold(ResourceKey(0, Kind.MEDIA, number), None)


def test_a_peer_that_is_one_too_many_takes_no_place_at_its_tracker() -> None:
    neighbours, _ = with_one_peer(peers_max=1)
    swarm = Told()
    neighbours._swarms[0] = [swarm]  # type: ignore[list-item]
    closed: list[str] = []
    channel: Any = SimpleNamespace(close=closed.append)
    assert neighbours.take(ChannelOpened(0, "q", channel)) is None
    assert closed == ["peers_max"]
    assert swarm == [PeerGone("q")]


def channel(address: str) -> Any:
    return SimpleNamespace(fingerprint=None, remote_address=address, is_relayed=False)


def test_the_least_useful_peer_gives_way_to_another_rendition_and_swarms_are_told_what_they_may_have() -> None:
    neighbours, session = with_one_peer(peers_max=3)
    for name in "qr":
        assert neighbours.take(ChannelOpened(0, name, channel("192.0.2.2"))) is not None
    neighbours.choking.heard("p", 3)
    neighbours.choking.heard("q", 1)
    neighbours.choking.heard("r", 2)
    first, second = Told(), Told()
    neighbours._swarms |= {0: [first], 1: [second]}  # type: ignore[dict-item]
    assert neighbours.give_way(ChannelOpened(0, "s", channel("192.0.2.3"))) is None, "it has all, and takes no more"
    neighbours._places.use(1, 0)
    opened = ChannelOpened(1, "t", channel("192.0.2.4"))
    assert neighbours.give_way(opened) == "q"
    assert session.peer[-1] == Close(GAVE_WAY)
    assert neighbours.leave("q", GAVE_WAY)
    assert neighbours.take(opened) is not None
    assert first == [PeerGone("q"), LinksMax(2)]
    assert second == [LinksMax(2), PeerMet("t")]


def test_a_burst_of_changes_is_announced_once_and_does_not_put_the_announcement_off() -> None:
    neighbours, session = with_one_peer()
    hold(neighbours, range(10))
    assert session.timers == [(AnnounceNow(), BalancerConfig().announce_delay_us)]
    neighbours.announce()
    assert session.peer[-1] == Announce(held=tuple(range(10)), fetching=())
    hold(neighbours, range(10, 11))
    assert len(session.timers) == 2


def test_a_long_list_is_announced_less_often() -> None:
    neighbours, session = with_one_peer()
    hold(neighbours, range(2_560))
    neighbours.announce()
    hold(neighbours, range(2_560, 2_561))
    assert session.timers[-1] == (AnnounceNow(), 11 * BalancerConfig().announce_delay_us)


def test_uploads_of_days_of_peers_are_not_all_remembered() -> None:
    neighbours, _ = with_one_peer()
    for number in range(PEERS_MAX + 10):
        neighbours.count_sent(f"p{number}", 5)
    assert [neighbours.sent_bytes(f"peer:p{number}") for number in (9, 10)] == [0, 5]


def test_a_piece_to_who_only_takes_waits_while_somebody_is_served_who_holds_something() -> None:
    neighbours, session = with_one_peer()
    rider: Any = SimpleNamespace(fingerprint=None, remote_address="192.0.2.2", is_relayed=False)
    assert neighbours.take(ChannelOpened(0, "rider", rider)) is not None
    neighbours.choking.heard("p", 3)
    at_once = Turn(1000, 0)
    assert neighbours.upload_turn(MayUpload("rider", 1000)) == at_once
    assert neighbours.upload_turn(MayUpload("p", 1000)) == at_once
    assert neighbours.upload_turn(MayUpload("rider", 1000)) is None
    assert neighbours.upload_turn(MayUpload("rider", 1000, is_patient=False)) == at_once
    neighbours.count_sent("p", 2000)  # its upload is over
    assert neighbours.upload_turn(MayUpload("rider", 1000)) is None
    session.now_us = 1_000_000  # and the line has rested
    assert neighbours.upload_turn(MayUpload("rider", 1000)) == at_once


def test_what_is_not_held_is_refused_without_a_look_into_the_store() -> None:
    neighbours, _ = with_one_peer()
    hold(neighbours, range(3))
    assert neighbours.may_begin(MayBegin("p", 2)) is None
    assert neighbours.may_begin(MayBegin("p", 3)) == "absent"
    assert neighbours.may_begin(MayBegin("who", 2)) == "absent"


def test_peers_are_told_when_the_cap_is_used_up_and_when_it_is_not_any_more() -> None:
    neighbours, session = with_one_peer(upload_bytes_per_s=16_384)
    hold(neighbours, range(3))
    neighbours.announce()
    other: Any = SimpleNamespace(fingerprint=None, remote_address="192.0.2.2", is_relayed=False)
    assert neighbours.take(ChannelOpened(0, "other", other)) is not None
    for peer in ("p", "other"):
        neighbours.choking.heard(peer, 3)  # who only takes keeps nobody out
    assert neighbours.may_begin(MayBegin("other", 2)) is None
    for _ in range(2):
        neighbours.upload_turn(MayUpload("other", 50_000))
    assert neighbours.may_begin(MayBegin("p", 2, hears_why=True)) == "busy"
    neighbours.announce()
    assert session.peer[-2].state == "busy"
    neighbours.count_sent("other", 6_552)
    assert len(session.timers) == 3
    neighbours.announce()
    assert session.peer[-2].state == "free"


def test_what_a_peer_has_another_version_of_is_not_taken_for_held() -> None:
    neighbours, _ = with_one_peer()
    said = PeerAnnounced("p", frozenset({1, 2, 3}), frozenset({4}))
    assert neighbours.heard(said) == said
    right = {number: bytes([number]) * 16 for number in range(10)}
    differs = lambda number, claim: right[number] != claim  # noqa: E731
    assert neighbours.claimed("p", differs, {1: right[1]}) is None
    less = PeerAnnounced("p", frozenset({1, 3}), frozenset())
    assert neighbours.claimed("p", differs, {2: bytes(16), 4: bytes(16)}) == less
    assert neighbours.heard(said) == less
    assert neighbours.claimed("p", differs, {2: right[2], 4: right[4]}) == said


def holding(*numbers: int) -> tuple[Neighbours, Told]:
    """In a swarm, with these held; what the swarm is told."""
    neighbours, _ = with_one_peer()
    swarm = Told()
    neighbours._swarms[0] = [swarm]  # type: ignore[list-item]
    for number in numbers:
        neighbours.hold(ResourceKey(0, Kind.MEDIA, number), None)
    return neighbours, swarm


def test_trackers_are_told_of_each_change_between_all_and_less() -> None:
    neighbours, swarm = holding(1, 2)
    neighbours.listed(0, [1, 2, 3])
    neighbours.hold(ResourceKey(0, Kind.MEDIA, 3), None)
    neighbours.hold(ResourceKey(0, Kind.MEDIA, 3), None)
    assert swarm == [HoldsAll(True)]
    neighbours.drop(ResourceKey(0, Kind.MEDIA, 1))
    neighbours.drop(ResourceKey(0, Kind.MEDIA, 2))
    assert swarm == [HoldsAll(True), HoldsAll(False)]


@pytest.mark.parametrize("numbers", [None, (), (1, 2, 3)])
def test_all_of_a_live_window_of_nothing_or_of_less_than_there_is_is_not_everything(numbers: Any) -> None:
    neighbours, swarm = holding(1, 2)
    neighbours.listed(0, numbers)
    assert swarm == []


@pytest.mark.parametrize("end", ["live", "silent", "anew"])
def test_what_ends_everything_is_told_to_trackers(end: str) -> None:
    neighbours, swarm = holding(1)
    neighbours.listed(0, [1])
    match end:
        case "live":
            neighbours.listed(0, None)
        case "silent":
            neighbours.silence(is_silent=True)
        case "anew":
            neighbours.drop_all(0)
    assert swarm == [HoldsAll(True), HoldsAll(False)]


def test_nobody_is_told_while_nobody_is_there() -> None:
    neighbours, session = with_one_peer()
    assert neighbours.leave("p", "gone")
    hold(neighbours, range(3))
    assert not session.timers
