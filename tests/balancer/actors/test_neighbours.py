"""When peers are told what we hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from shoal.balancer.actors.messages import Announce, AnnounceNow, ChannelOpened, MayUpload, PeerGone
from shoal.balancer.actors.neighbours import Neighbours
from shoal.balancer.actors.reporter import PEERS_MAX
from shoal.balancer.config import BalancerConfig
from shoal.balancer.model import Kind, ResourceKey


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
    transfers = SimpleNamespace(from_cdns=lambda _: ())
    neighbours = Neighbours(session, parts, transfers, reporter=Told(), storage=Told())  # type: ignore[arg-type]
    channel: Any = SimpleNamespace(fingerprint=None, remote_address="192.0.2.1")
    joined = neighbours.take(ChannelOpened(0, "p", channel))
    assert joined is not None
    neighbours.welcome(joined)
    return neighbours, session


def hold(neighbours: Neighbours, numbers: range) -> None:
    for number in numbers:
        neighbours.hold(ResourceKey(0, Kind.MEDIA, number))


def test_a_peer_that_is_one_too_many_takes_no_place_at_its_tracker() -> None:
    neighbours, _ = with_one_peer(peers_max=1)
    swarm = Told()
    neighbours._swarms[0] = [swarm]  # type: ignore[list-item]
    closed: list[str] = []
    channel: Any = SimpleNamespace(close=closed.append)
    assert neighbours.take(ChannelOpened(0, "q", channel)) is None
    assert closed == ["peers_max"]
    assert swarm == [PeerGone("q")]


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
    neighbours, _ = with_one_peer()
    rider: Any = SimpleNamespace(fingerprint=None, remote_address="192.0.2.2")
    assert neighbours.take(ChannelOpened(0, "rider", rider)) is not None
    neighbours.choking.heard("p", 3)
    assert neighbours.upload_delay_us(MayUpload("rider", 1000)) == 0
    assert neighbours.upload_delay_us(MayUpload("p", 1000)) == 0
    assert neighbours.upload_delay_us(MayUpload("rider", 1000)) is None
    assert neighbours.upload_delay_us(MayUpload("rider", 1000, is_patient=False)) == 0
    neighbours.count_sent("p", 2000)  # its upload is over
    assert neighbours.upload_delay_us(MayUpload("rider", 1000)) == 0


def test_uploads_that_are_cancelled_before_their_turn_take_no_turn_from_others() -> None:
    neighbours, _ = with_one_peer(upload_bytes_per_s=100_000)
    for _ in range(100):
        neighbours.upload_delay_us(MayUpload("p", 50_000))
        neighbours.count_sent("p", 0)
    assert neighbours.upload_delay_us(MayUpload("p", 50_000)) == 0
    neighbours.count_sent("p", 50_000)
    assert neighbours.upload_delay_us(MayUpload("p", 50_000)) == 500_000


def test_nobody_is_told_while_nobody_is_there() -> None:
    neighbours, session = with_one_peer()
    assert neighbours.leave("p", "gone")
    hold(neighbours, range(3))
    assert not session.timers
