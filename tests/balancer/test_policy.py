"""What the policy does after each thing that can happen: one rule a test."""

from __future__ import annotations

import msgspec

from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import (
    BanPeer,
    BytesDiscarded,
    CancelTransfer,
    CdnAdded,
    DropPartial,
    FetchFromCdn,
    GiveUp,
    PeerAnnounced,
    PeerJoined,
    PeerLeft,
    RequestFromPeer,
    ResourceCompleted,
    ResourceDropped,
    ResourceReleased,
    ResourceRequested,
    SegmentsListed,
    SourceBlamed,
    SwarmJoined,
    TimePassed,
    TransferEnded,
    TransferFailed,
    TransferProgressed,
    TransferStarted,
    WakeAt,
)
from shoal.balancer.model import Kind, ResourceKey, Segment
from shoal.balancer.policy import Policy

SECOND = 1_000_000
SIZE = 1_000_000


def media(number: int, rendition: int = 0) -> ResourceKey:
    return ResourceKey(rendition, Kind.MEDIA, number)


class Table:
    """A policy, a clock, and the actions of the last step without wake-ups."""

    def __init__(
        self, *cdns: str, segments: int = 20, hashed: bool | range = True, config: BalancerConfig | None = None
    ) -> None:
        self.policy = Policy(config or BalancerConfig(), seed=1)
        self.now_us = 0
        self.wake_us: int | None = None
        for cdn in cdns:
            self.feed(CdnAdded(cdn))
        self.list_segments(range(segments), hashed=hashed)

    def list_segments(self, numbers: range, *, hashed: bool | range = True, is_live: bool = False) -> list:
        segments = tuple(
            Segment(
                key=media(n),
                uri=f"{n}.m4s",
                start_us=n * 4 * SECOND,
                duration_us=4 * SECOND,
                is_hashed=hashed if isinstance(hashed, bool) else n in hashed,
            )
            for n in numbers
        )
        return self.feed(SegmentsListed(0, segments, is_live))

    def feed(self, event: object, *, after_us: int = 0) -> list:
        self.now_us += after_us
        actions = self.policy.handle(event, self.now_us)
        for action in actions:
            if isinstance(action, WakeAt):
                assert action.time_us > self.now_us
                self.wake_us = action.time_us
        return [action for action in actions if not isinstance(action, WakeAt)]

    def until(self, time_us: int) -> list:
        """Wake the policy whenever it asked for it; all actions up to then."""
        seen = []
        while self.wake_us is not None and self.wake_us <= time_us:
            self.now_us, self.wake_us = self.wake_us, None
            seen += self.feed(TimePassed())
        self.now_us = time_us
        return seen

    def join(self, peer: str, held: range = range(20), **details: str) -> list:
        actions = self.feed(PeerJoined(peer, 0, **details))
        return actions + self.feed(PeerAnnounced(peer, frozenset(held), frozenset()))

    def deliver(self, transfer: int, key: ResourceKey, *, byte_count: int = SIZE) -> list:
        """The whole of it, in half a second."""
        actions = self.feed(TransferStarted(transfer, SIZE), after_us=50_000)
        for _ in range(10):
            actions += self.feed(TransferProgressed(transfer, byte_count // 10), after_us=50_000)
        actions += self.feed(TransferEnded(transfer))
        return actions + self.feed(ResourceCompleted(key, SIZE))

    def playing(self, *, until: int = 0) -> list:
        """Segments 0 to `until` were asked for and came, from a CDN; the player has a buffer of 4 s for each."""
        seen = []
        for number in range(until + 1):
            seen += self.feed(ResourceRequested(media(number)))
            asked = [a.transfer for a in seen if isinstance(a, FetchFromCdn) and a.key == media(number)]
            seen += self.deliver(asked[-1], media(number))
        return seen


def with_buffer(**settings: int) -> Table:
    """A player with 14 s in its buffer, over a line that carries more than it needs, asks for segment 4."""
    table = Table("a", config=BalancerConfig(cdn_transfers_max=0, **settings))
    table.playing(until=3)
    assert only(table.feed(ResourceRequested(media(4)))).transfer == 5
    return table


def only(actions: list) -> object:
    assert len(actions) == 1, actions
    return actions[0]


# --- who waits is served ---


def test_a_request_is_sent_to_a_cdn_at_once():
    action = only(Table("a").feed(ResourceRequested(media(0))))
    assert action == FetchFromCdn(1, "a", media(0), 0, None, None, "start")


def test_a_second_request_for_the_same_starts_nothing():
    table = Table("a", "b")
    table.feed(ResourceRequested(media(0)))
    assert table.feed(ResourceRequested(media(0))) == []


def test_without_any_source_a_request_is_given_up():
    assert only(Table().feed(ResourceRequested(media(0)))) == GiveUp(media(0), "no source is left: there is none")


def test_a_key_or_init_section_is_fetched_from_cdns_only():
    table = Table("a")
    key = ResourceKey(0, Kind.INIT, 0)
    table.join("p")
    assert only(table.feed(ResourceRequested(key))).cdn == "a"


def test_a_failure_goes_on_with_another_cdn_from_the_byte_reached():
    table = Table("a", "b")
    first = only(table.feed(ResourceRequested(media(0))))
    table.feed(TransferStarted(1, SIZE, "e"))
    table.feed(TransferProgressed(1, 300_000))
    action = only(table.feed(TransferFailed(1, "closed")))
    assert (action.cdn, action.first_byte, action.total_bytes) == ("b" if first.cdn == "a" else "a", 300_000, SIZE)
    assert action.why == "failover"


def test_a_resume_names_the_etag_only_where_no_hashes_decide():
    for hashed, etag in ((True, None), (False, "e")):
        table = Table("a", "b", hashed=hashed)
        table.feed(ResourceRequested(media(0)))
        table.feed(TransferStarted(1, SIZE, "e"))
        table.feed(TransferProgressed(1, 300_000))
        assert only(table.feed(TransferFailed(1, "closed"))).etag == etag


def test_missing_everywhere_is_given_up_after_one_question_each():
    table = Table("a", "b")
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferFailed(1, "status", 404))
    action = only(table.feed(TransferFailed(2, "status", 404)))
    assert isinstance(action, GiveUp)
    assert "status 404" in action.reason
    assert "cdn:a" in action.reason
    assert "cdn:b" in action.reason


def test_what_was_given_up_is_tried_anew_when_asked_again():
    table = Table("a")
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferFailed(1, "status", 404))
    assert only(table.feed(ResourceRequested(media(0)))).first_byte == 0


def test_the_only_source_is_asked_again_after_a_back_off_that_grows_until_the_budget_is_spent():
    table = Table("a", config=BalancerConfig(patience_us_max=600 * SECOND))
    table.feed(ResourceRequested(media(0)))
    transfer, waits = 1, []
    while True:
        failed_us = table.now_us
        actions = table.feed(TransferFailed(transfer, "connect"))
        while not actions:
            actions = table.until(table.wake_us)
        if isinstance(actions[0], GiveUp):
            break
        transfer = actions[0].transfer
        waits.append(table.now_us - failed_us)
    assert transfer == 12
    assert waits[:4] == [SECOND // 2, SECOND, 2 * SECOND, 4 * SECOND]
    assert max(waits) == 8 * SECOND


def test_retry_after_is_obeyed_even_by_who_waits():
    table = Table("a")
    table.feed(ResourceRequested(media(0)))
    assert table.feed(TransferFailed(1, "status", 503, retry_after_us=3 * SECOND)) == []
    assert table.until(3 * SECOND - 1) == []
    assert only(table.until(3 * SECOND)).cdn == "a"


def test_without_hashes_a_dead_cdn_whose_bytes_no_other_can_continue_is_not_waited_for():
    table = Table("a", "b", hashed=False)
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferStarted(1, SIZE, "e"))
    table.feed(TransferProgressed(1, 300_000))
    table.feed(TransferFailed(1, "closed"))
    assert isinstance(only(table.feed(TransferFailed(2, "changed"))), GiveUp)
    assert only(table.feed(ResourceRequested(media(0)))).first_byte == 0


def test_fewer_bytes_than_announced_are_a_failure():
    table = Table("a", "b")
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferStarted(1, SIZE))
    table.feed(TransferProgressed(1, 10))
    assert only(table.feed(TransferEnded(1))).first_byte == 10


# --- silence and slowness ---


def test_no_answer_within_a_second_moves_the_transfer():
    table = Table("a", "b")
    table.feed(ResourceRequested(media(0)))
    actions = table.until(SECOND)
    assert actions[0] == CancelTransfer(1, "stalled")
    assert actions[1].why == "failover"


def test_a_drip_is_moved_within_a_second_with_or_without_a_known_length():
    for total_bytes in (SIZE, None):
        table = Table("a", "b")
        table.feed(ResourceRequested(media(0)))
        table.feed(TransferStarted(1, total_bytes), after_us=20_000)
        table.feed(TransferProgressed(1, 1))
        actions = table.until(SECOND)
        assert isinstance(actions[0], CancelTransfer)
        assert actions[1].first_byte == 1


def test_silence_in_the_body_moves_the_transfer_to_go_on_where_it_was():
    table = Table("a", "b")
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferStarted(1, SIZE))
    table.feed(TransferProgressed(1, 400_000), after_us=100_000)
    actions = table.until(SECOND)
    assert actions[0].reason in {"stalled", "slow"}
    assert actions[1].first_byte == 400_000


def test_a_silent_only_source_is_waited_for_longer_and_then_asked_anew():
    table = Table("a")
    table.feed(ResourceRequested(media(0)))
    assert table.until(4 * SECOND - 1) == []
    assert table.until(4 * SECOND) == [CancelTransfer(1, "stalled")]
    assert only(table.until(5 * SECOND)).cdn == "a"


def test_a_source_that_stays_silent_is_given_up_after_a_minute_or_so():
    table = Table("a")
    table.feed(ResourceRequested(media(0)))
    assert not [a for a in table.until(60 * SECOND) if isinstance(a, GiveUp)]
    given_up = [a for a in table.until(90 * SECOND) if isinstance(a, GiveUp)]
    assert "cdn:a stalled" in only(given_up).reason


def test_patience_doubles_with_each_move_of_a_resource():
    table = Table("a", "b")
    table.feed(ResourceRequested(media(0)))
    table.until(SECOND)
    assert table.until(3 * SECOND - 1) == []
    assert table.until(3 * SECOND)[0] == CancelTransfer(2, "stalled")


def test_events_of_a_cancelled_transfer_count_for_nothing():
    table = Table("a", "b")
    table.feed(ResourceRequested(media(0)))
    table.until(SECOND)
    assert table.feed(TransferProgressed(1, 100)) == []
    assert table.feed(TransferFailed(1, "closed")) == []
    assert table.feed(TransferEnded(1)) == []
    assert only(table.feed(TransferFailed(2, "status", 404)) or table.until(SECOND * 2)).first_byte == 0


def test_a_steady_transfer_is_left_alone():
    table = Table("a", "b")
    table.feed(ResourceRequested(media(0)))
    assert [a for a in table.deliver(1, media(0)) if not isinstance(a, FetchFromCdn)] == []


# --- prefetch ---


def test_a_peer_prefetches_what_it_announced_while_a_cdn_serves_who_waits():
    action = only(with_buffer().join("p", range(6, 8)))  # one request at a time goes to a peer
    assert isinstance(action, RequestFromPeer)
    assert action.key.number in {6, 7}


def test_before_anything_plays_who_waits_has_the_line_alone():
    table = Table("a")
    table.join("p", range(1, 5))
    assert isinstance(only(table.feed(ResourceRequested(media(0)))), FetchFromCdn)


def test_peers_are_asked_only_for_the_segments_that_have_hashes():
    table = Table("a", hashed=range(3))
    table.join("p", range(10))
    table.feed(ResourceRequested(media(0)))
    actions, asked = table.deliver(1, media(0)), [0]
    while requests := [action for action in actions if isinstance(action, RequestFromPeer)]:
        asked.append(requests[0].key.number)
        actions = table.deliver(requests[0].transfer, requests[0].key)
    assert set(asked) == {0, 1, 2}


def test_peers_are_not_asked_for_what_has_no_hashes():
    table = Table("a", hashed=False)
    table.join("p")
    assert len(table.feed(ResourceRequested(media(0)))) == 1


def test_no_more_peers_prefetch_at_once_than_configured():
    table = with_buffer(peer_transfers_max=2)
    actions = [action for peer in "pqrs" for action in table.join(peer)]
    assert sum(isinstance(action, RequestFromPeer) for action in actions) == 2


def test_a_cdn_prefetches_only_when_the_deadline_is_near():
    table = Table("a")
    table.playing(until=1)
    played_us = table.policy.deadline_us(media(2))
    assert table.until(played_us - 6 * SECOND - 1) == []
    action = only(table.until(played_us - 6 * SECOND))
    assert (action.key, action.why) == (media(2), "deadline")


def test_viewers_of_a_swarm_take_turns_to_bring_in_what_it_lacks():
    firsts = []
    for seed in range(8):
        table = Table("a")
        table.policy = Policy(BalancerConfig(), seed)
        table.feed(CdnAdded("a"))
        table.list_segments(range(20))
        table.join("p", range(0))
        early = [a.key.number for a in table.playing() if isinstance(a, FetchFromCdn) and a.why == "prefetch"]
        firsts.append(early[0] if early else None)
    assert len(set(firsts)) >= 3


def test_what_a_peer_is_fetching_already_is_left_to_it_until_the_deadline_is_near():
    table = Table("a")
    table.playing(until=1)
    table.feed(PeerJoined("p", 0))
    table.feed(PeerAnnounced("p", frozenset(), frozenset(range(2, 20))))
    played_us = table.policy.deadline_us(media(2))
    assert table.until(played_us - 6 * SECOND) == []
    late = [(a.key, a.why) for a in table.until(played_us) if isinstance(a, FetchFromCdn)]
    assert late[0] == (media(2), "deadline")


def test_a_prefetch_that_becomes_urgent_goes_on():
    table = with_buffer()
    table.join("p", range(5, 6))
    assert table.feed(ResourceRequested(media(5))) == []


def test_a_seek_stops_prefetches_of_what_is_no_longer_ahead():
    table = with_buffer()
    asked = only(table.join("p", range(5, 7)))
    actions = table.feed(ResourceRequested(media(15)))
    assert CancelTransfer(asked.transfer, "released") in actions


def test_segments_that_slid_out_of_a_live_playlist_are_no_longer_prefetched():
    table = Table("a")
    table.list_segments(range(20), is_live=True)
    table.join("p", range(1, 2))
    table.playing()
    assert table.list_segments(range(5, 25), is_live=True)[0] == CancelTransfer(2, "gone")


def test_a_stream_that_began_anew_voids_all_that_was_wanted_and_held_of_it():
    table = with_buffer()
    table.join("p", range(6, 7))
    table.feed(TransferProgressed(6, 1000))
    segments = tuple(Segment(key=media(n), uri=f"new{n}.m4s", duration_us=SECOND, is_hashed=True) for n in range(3))
    actions = table.feed(SegmentsListed(0, segments, is_live=True, is_restarted=True))
    assert actions == [
        CancelTransfer(5, "gone"),
        GiveUp(media(4), "the stream began anew"),
        CancelTransfer(6, "gone"),
        DropPartial(media(6)),
    ]
    assert table.feed(ResourceRequested(media(1)))[0].first_byte == 0


def test_two_readers_at_neighbouring_segments_are_no_seeks():
    table = Table("a")
    table.playing(until=1)
    due_us = table.policy.deadline_us(media(9))
    for number in (2, 4, 2, 4, 2):
        table.feed(ResourceRequested(media(number)))
    assert table.policy.deadline_us(media(9)) == due_us


def test_what_the_store_dropped_is_not_prefetched_again_but_fetched_on_request():
    table = Table("a")
    table.join("p", range(1, 2))
    table.feed(ResourceRequested(media(0)))
    table.deliver(2, media(1))
    assert table.feed(ResourceDropped(media(1))) == []
    assert only(table.feed(ResourceRequested(media(1)))).key == media(1)


# --- nobody waits any more ---


def test_a_released_transfer_that_is_mostly_done_goes_on():
    table = Table("a")
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferStarted(1, SIZE))
    table.feed(TransferProgressed(1, 600_000))
    assert table.feed(ResourceReleased(media(0))) == []


def test_a_released_transfer_that_has_hardly_begun_is_cancelled_and_its_bytes_dropped():
    table = Table("a")
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferStarted(1, SIZE))
    table.feed(TransferProgressed(1, 100_000))
    assert table.feed(ResourceReleased(media(0))) == [CancelTransfer(1, "released"), DropPartial(media(0))]
    assert table.feed(TimePassed(), after_us=SECOND) == []


# --- wrong bytes ---


def test_a_peer_with_wrong_bytes_is_banned_once_and_its_segment_wanted_from_the_kept_byte():
    table = Table("a")
    table.join("p", range(1, 2))
    table.feed(ResourceRequested(media(0)))
    table.feed(ResourceRequested(media(1)))
    table.feed(TransferStarted(2, SIZE))
    table.feed(TransferProgressed(2, 200_000))
    actions = table.feed(SourceBlamed(media(1), "peer:p", 65_536))
    assert actions[0] == CancelTransfer(2, "blamed")
    assert actions[1] == BanPeer("p", "wrong bytes")
    assert (actions[2].cdn, actions[2].first_byte) == ("a", 65_536)
    assert table.feed(SourceBlamed(media(1), "peer:p", 65_536)) == []


def test_a_banned_id_and_a_banned_certificate_are_cut_when_they_come_back():
    table = Table("a")
    table.join("p", fingerprint="f", address="127.0.0.1")
    table.feed(SourceBlamed(media(1), "peer:p", 0))
    table.feed(PeerLeft("p", "banned"))
    assert table.feed(PeerJoined("p", 0, "g", "127.0.0.1")) == [BanPeer("p", "banned id")]
    assert table.feed(PeerJoined("q", 0, "f", "127.0.0.1")) == [BanPeer("q", "banned certificate")]
    assert table.feed(PeerJoined("r", 0, "g", "127.0.0.1")) == []


def test_a_peer_at_an_offenders_address_is_asked_last_and_for_no_second_before_the_first_is_verified():
    table = with_buffer()
    table.join("bad", range(19, 20), address="10.0.0.1")
    table.feed(SourceBlamed(media(19), "peer:bad", 0))
    actions = table.join("clean", range(5, 6), address="10.0.0.2")
    actions += table.join("behind it", range(5, 13), address="10.0.0.1")
    asked = {a.peer: a for a in actions if isinstance(a, RequestFromPeer)}
    assert asked["clean"].key == media(5)
    first = asked["behind it"]
    table.feed(TransferStarted(first.transfer, SIZE))
    table.feed(TransferProgressed(first.transfer, SIZE))
    assert table.feed(TransferEnded(first.transfer)) == []
    assert only(table.feed(ResourceCompleted(first.key, SIZE))).peer == "behind it"


def test_who_shares_an_offenders_address_is_shown_on_probation_and_as_a_suspect_only_after_a_failure():
    table = with_buffer()
    table.join("bad", range(19, 20), address="10.0.0.1")
    table.feed(SourceBlamed(media(19), "peer:bad", 0))
    asked = only(table.join("honest", range(6, 8), address="10.0.0.1"))

    def shown() -> str:
        return {state.name: state.state for state in table.policy.source_states(table.now_us)}["peer:honest"]

    assert shown() == "probation"
    table.feed(TransferFailed(asked.transfer, "closed"))
    assert shown() == "suspect"


def test_a_cdn_with_wrong_bytes_is_left_for_a_minute():
    table = Table("a", "b")
    wrong = only(table.feed(ResourceRequested(media(0)))).cdn
    table.feed(TransferStarted(1, SIZE))
    table.feed(TransferProgressed(1, 100_000))
    actions = table.feed(SourceBlamed(media(0), f"cdn:{wrong}", 0))
    assert actions[0] == CancelTransfer(1, "blamed")
    assert actions[1].cdn != wrong
    states = {state.name: state.state for state in table.policy.source_states(table.now_us + 59 * SECOND)}
    assert states[f"cdn:{wrong}"] == "open"


def test_a_block_of_several_sources_is_fetched_anew_from_none_of_them():
    table = Table("a", "b", "c")
    first = only(table.feed(ResourceRequested(media(0)))).cdn
    table.feed(TransferStarted(1, SIZE))
    table.feed(TransferProgressed(1, 100_000))
    second = only(table.feed(TransferFailed(1, "closed")))
    table.feed(TransferProgressed(second.transfer, 100_000))
    actions = table.feed(BytesDiscarded(media(0), (f"cdn:{first}", f"cdn:{second.cdn}"), 65_536))
    assert actions[0] == CancelTransfer(second.transfer, "blamed")
    assert actions[1].cdn not in {first, second.cdn}
    assert actions[1].first_byte == 65_536


def test_a_culprit_found_by_comparison_throws_nothing_away():
    table = Table("a")
    table.join("p", range(5, 6))
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferStarted(1, SIZE))
    table.feed(TransferProgressed(1, 100_000))
    actions = table.feed(SourceBlamed(media(0), "peer:p", 100_000))
    assert CancelTransfer(1, "blamed") not in actions
    assert BanPeer("p", "wrong bytes") in actions


def test_wrong_bytes_found_after_the_transfer_ended_are_wanted_again():
    table = Table("a", "b")
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferStarted(1, SIZE))
    table.feed(TransferProgressed(1, SIZE))
    table.feed(TransferEnded(1))
    assert only(table.feed(SourceBlamed(media(0), "cdn:a", 131_072))).first_byte == 131_072


# --- peers come and go ---


def test_a_peer_that_leaves_takes_its_transfer_along():
    table = Table("a", config=BalancerConfig(cdn_transfers_max=0))
    table.playing()
    table.join("p", range(1, 2))
    table.feed(ResourceRequested(media(1)))
    assert only(table.feed(PeerLeft("p", "closed"))).cdn == "a"
    assert {s.name: s.state for s in table.policy.source_states(table.now_us)}["peer:p"] == "left"


def test_a_peer_that_fails_and_comes_back_is_left_alone_for_as_long_as_one_that_stays():
    table = with_buffer()
    asked = only(table.join("p", range(5, 20), fingerprint="f"))
    assert asked.peer == "p"
    table.feed(TransferFailed(asked.transfer, "closed"))
    table.feed(PeerLeft("p", "closed"))
    back = table.join("p", range(5, 20), fingerprint="f")
    assert not [action for action in back if isinstance(action, RequestFromPeer)]
    assert {s.name: s.state for s in table.policy.source_states(table.now_us)}["peer:p"] == "suspect"
    asked = [action.peer for action in table.join("other", range(5, 20)) if isinstance(action, RequestFromPeer)]
    assert asked == ["other"]


def test_a_peer_that_was_cut_for_breaking_the_protocol_is_refused_for_a_time_that_doubles():
    table = Table("a")
    for refused_s in (30, 60):
        table.join("p", fingerprint="f", address="10.0.0.1")
        refused = only(table.feed(PeerLeft("p", "protocol: size: more", is_fault=True)))
        assert refused == BanPeer("p", "it broke the protocol", table.now_us + refused_s * SECOND)
        assert table.feed(PeerJoined("p", 0, "g"), after_us=(refused_s - 1) * SECOND) == [refused]
        assert table.feed(PeerJoined("q", 0, "f")) == [msgspec.structs.replace(refused, peer="q")]
        assert table.feed(PeerJoined("r", 0, "h", "10.0.0.1")) == []
        table.feed(PeerLeft("r", "closed"))
        table.now_us += SECOND
    assert table.feed(PeerJoined("p", 0, "f")) == []


def test_a_peer_without_what_it_announced_is_not_asked_for_it_again():
    table = Table("a")
    table.join("p", range(1, 2))
    table.feed(ResourceRequested(media(0)))
    assert table.feed(TransferFailed(2, "absent")) == []
    assert table.until(3 * SECOND) is not None
    assert not [a for a in table.until(20 * SECOND) if isinstance(a, RequestFromPeer)]


def test_a_peer_that_refuses_again_and_again_what_it_announced_is_left_alone_for_a_while():
    table = Table("a", config=BalancerConfig(cdn_transfers_max=0))
    table.playing()
    asked = [a for a in table.join("p", range(1, 9)) if isinstance(a, RequestFromPeer)]
    refused = 0
    while asked and refused < 9:
        answered = table.feed(TransferFailed(asked.pop().transfer, "absent"))
        asked += [a for a in answered if isinstance(a, RequestFromPeer)]
        refused += 1
    assert refused == 3
    assert {s.name: s.state for s in table.policy.source_states(table.now_us)}["peer:p"] == "suspect"


def test_a_measured_peer_that_is_in_time_serves_even_who_waits():
    table = Table("a", config=BalancerConfig(peer_transfers_max=0, cdn_transfers_max=0))
    table.playing(until=3)
    table.join("p")
    table.until(table.policy.deadline_us(media(4)) - SECOND)
    asked = only(table.feed(ResourceRequested(media(4))))
    assert isinstance(asked, FetchFromCdn)  # unmeasured, and too near
    table.deliver(asked.transfer, media(4))
    table.policy._book.peers["p"].estimate.sample(SECOND, SIZE, table.now_us)
    action = only(table.feed(ResourceRequested(media(5))))
    assert (action.peer, action.why) == ("p", "offload")


def test_a_measured_peer_that_would_be_late_is_not_asked_by_who_waits():
    table = Table("a", config=BalancerConfig(peer_transfers_max=0))
    table.playing(until=3)
    table.join("p")
    table.policy._book.peers["p"].estimate.sample(SECOND, SIZE // 30, table.now_us)
    assert table.feed(ResourceRequested(media(4))) == []  # another may come to hold it, for as long as that is safe
    assert only(table.until(table.now_us + 5 * SECOND)).cdn == "a"


def test_a_request_that_is_played_later_is_left_to_an_unmeasured_peer_while_a_cdn_is_still_a_way_back():
    table = Table("a", config=BalancerConfig(peer_transfers_max=0))
    table.playing(until=3)
    table.join("p")
    asked = only(table.feed(ResourceRequested(media(4))))
    assert (asked.peer, asked.why) == ("p", "offload")
    moved = [a for a in table.until(table.policy.deadline_us(media(4))) if isinstance(a, FetchFromCdn)]
    assert moved[0].key == media(4)


def test_no_request_is_held_back_for_peers_longer_than_configured():
    table = Table("a", config=BalancerConfig(peer_transfers_max=0, hold_us_max=2 * SECOND))
    table.playing(until=4)
    table.feed(PeerJoined("p", 0))
    table.feed(PeerAnnounced("p", frozenset(), frozenset(range(20))))
    assert table.feed(ResourceRequested(media(5))) == []
    assert table.until(table.now_us + 2 * SECOND - 1) == []
    assert only(table.until(table.now_us + 1)).cdn == "a"


def test_a_newcomer_waits_for_its_swarm_and_then_no_longer():
    table = Table("a", config=BalancerConfig(cdn_transfers_max=0))
    table.feed(SwarmJoined(0))
    table.playing(until=0)
    table.feed(ResourceRequested(media(1)))
    assert only(table.until(3 * SECOND)).cdn == "a"


def test_one_of_two_viewers_that_know_each_other_fetches_and_the_other_waits_for_it():
    viewers = []
    for own, other in (("p", "q"), ("q", "p")):
        table = Table("a", config=BalancerConfig(cdn_transfers_max=8))
        table.playing(until=3)
        table.feed(PeerJoined(other, 0, own=own))
        seen = table.feed(PeerAnnounced(other, frozenset({0}), frozenset()))
        viewers.append({a.key.number for a in seen if isinstance(a, FetchFromCdn)})
    assert not viewers[0] & viewers[1]
    assert viewers[0] | viewers[1] == {4, 5, 6, 7, 8}  # the prefetch window


def test_when_all_are_slow_because_the_line_is_slow_nothing_is_moved_from_cdn_to_cdn_again_and_again():
    table = Table("a", "b", "c")
    for cdn in "abc":
        table.policy._book.cdns[f"cdn:{cdn}"].estimate.sample(SECOND, SIZE, 0)
    seen = table.feed(ResourceRequested(media(0)))
    moves = 0
    for _ in range(400):  # 40 kB/s whoever sends: 16 s
        running = list(table.policy._book.transfers.values())
        for transfer in running:
            if transfer.first_byte_us is None:
                seen += table.feed(TransferStarted(transfer.number, SIZE))
            seen += table.feed(TransferProgressed(transfer.number, 1_600 // len(running)))
        seen = table.until(table.now_us + 40_000)
        moves += sum(isinstance(action, CancelTransfer) for action in seen)
    assert moves <= 2 * 3  # each is tried, and once more after a while


def test_of_cdns_that_are_surely_in_time_the_cheapest_is_asked_and_near_the_deadline_the_best():
    table = Table()
    table.feed(CdnAdded("dear", price_per_gb=4.0))
    table.feed(CdnAdded("cheap", price_per_gb=1.0))
    for cdn, rate in (("dear", 4 * SIZE), ("cheap", 2 * SIZE)):
        for _ in range(4):
            table.policy._book.cdns[f"cdn:{cdn}"].estimate.sample(SECOND, rate, 0)
    assert only(table.feed(ResourceRequested(media(0)))).cdn == "dear"  # nothing plays yet
    table.list_segments(range(20))
    asked = only(table.deliver(1, media(0)))
    assert (asked.cdn, asked.key) == ("cheap", media(1))


def test_source_states_count_errors_by_reason():
    table = Table("a", "b")
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferFailed(1, "status", 503))
    failed = next(s for s in table.policy.source_states(table.now_us) if s.error_count)
    assert failed.errors == {"status 503": 1}
    assert failed.transfer_count == 1


def test_an_announcement_of_what_is_held_or_runs_already_is_taken_in_and_no_more() -> None:
    table = Table("a")
    table.playing(until=1)
    table.join("p", held=range(0))
    running = {t for t in table.policy._book.open if table.policy._book.wants[t].transfer is not None}
    held = frozenset({0, 1, *(key.number for key in running)})
    announced = PeerAnnounced("p", held, frozenset())
    assert not table.policy.interest.heeds(announced, table.now_us)
    assert table.policy.handle(announced, table.now_us) == []
    assert table.policy._book.availability.holds("p", 0)


def test_an_announcement_of_what_is_still_to_be_fetched_is_acted_upon() -> None:
    table = Table("a")
    table.playing(until=1)
    table.join("p", held=range(0))
    announced = PeerAnnounced("p", frozenset({2}), frozenset())
    assert table.policy.interest.heeds(announced, table.now_us)
    asked = only(table.feed(announced))
    assert (asked.peer, asked.key) == ("p", media(2))


def test_that_a_peer_is_getting_it_is_a_reason_to_wait_and_that_it_is_not_any_more_is_one_to_look() -> None:
    table = Table("a", config=BalancerConfig(cdn_transfers_max=0))
    table.playing(until=1)
    table.join("p", held=range(0))
    getting, given_up = (PeerAnnounced("p", frozenset(), frozenset(numbers)) for numbers in ((3,), ()))
    assert not table.policy.interest.heeds(getting, table.now_us)
    assert table.feed(getting) == []
    assert table.policy.interest.heeds(given_up, table.now_us)


def test_what_a_peer_has_got_is_heeded_if_it_could_bring_it_in_time() -> None:
    for bytes_per_s, is_heeded in ((10_000, False), (10_000_000, True)):
        table = Table("a", config=BalancerConfig(cdn_transfers_max=0))
        table.playing(until=1)
        table.join("p", held=range(0))
        table.policy._book.peers["p"].estimate.sample(1_000_000, bytes_per_s, table.now_us)
        announced = PeerAnnounced("p", frozenset({2}), frozenset())
        assert table.policy.interest.heeds(announced, table.now_us) is is_heeded
        assert len(table.feed(announced)) == is_heeded


def test_while_a_peer_sends_who_may_be_asked_again_is_within_a_second() -> None:
    """No event tells of that moment, nor does anything ask for it: what is planned is looked at once a second."""
    table = Table("a", config=BalancerConfig(cdn_transfers_max=0, peer_cooldown_us=600_000))
    table.playing(until=3)
    sending = only(table.join("p", held=range(5, 6))).transfer
    failed = only(table.join("q", held=range(6, 7))).transfer
    table.feed(TransferStarted(sending, SIZE))
    asked = table.feed(TransferFailed(failed, "closed"))
    assert asked == []
    for _ in range(16):  # the cooldown, and the second
        table.feed(TransferProgressed(sending, 20_000))
        asked += table.feed(TimePassed(), after_us=100_000)
    assert (only(asked).peer, only(asked).key) == ("q", media(6))


def test_what_is_noted_is_looked_at_with_what_is_handled_next() -> None:
    table = Table("a")
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferStarted(1, SIZE), after_us=50_000)
    table.feed(TransferProgressed(1, SIZE), after_us=500_000)
    assert not table.policy.note(TransferEnded(1), table.now_us)
    assert not table.policy.note(ResourceCompleted(media(0), SIZE), table.now_us)
    assert not table.policy.note(ResourceRequested(media(1)), table.now_us)
    assert next(a.key for a in table.feed(TimePassed())) == media(1)  # now it is waited for, before the rest


def test_what_is_noted_of_a_race_that_is_over_must_be_carried_out_at_once() -> None:
    table = Table("a", "b")
    table.feed(ResourceRequested(media(0)))
    table.feed(TransferStarted(1, SIZE), after_us=50_000)
    table.feed(TransferProgressed(1, SIZE // 2), after_us=100_000)
    book = table.policy._book
    book.start(book.wants[media(0)], book.cdns["cdn:b"], "race", table.now_us)
    table.feed(TransferStarted(2, SIZE), after_us=50_000)
    table.feed(TransferProgressed(2, 0, repeated_bytes=1))
    assert table.policy.note(TransferProgressed(2, SIZE // 4), table.now_us)
    assert table.feed(TimePassed())[0].transfer == 1


def test_the_first_word_of_a_peer_is_heeded_whatever_it_says() -> None:
    table = Table("a")
    table.playing(until=1)
    table.feed(PeerJoined("p", 0))
    assert table.policy.interest.heeds(PeerAnnounced("p", frozenset(), frozenset()), table.now_us)


def test_a_live_playlist_that_slides_on_forgets_what_was_left_and_keeps_what_is_held() -> None:
    table = Table("a", segments=0)
    table.list_segments(range(5), is_live=True)
    transfer = only(table.feed(ResourceRequested(media(1))))
    table.deliver(transfer.transfer, media(1))
    table.feed(ResourceRequested(media(2)))
    table.feed(ResourceReleased(media(2)))
    table.list_segments(range(10, 15), is_live=True)
    assert media(1) in table.policy._book.wants
    assert media(2) not in table.policy._book.wants
    table.feed(ResourceRequested(media(3)))  # which is in no playlist any more
    table.feed(ResourceReleased(media(3)))
    assert media(3) not in table.policy._book.wants


def test_near_the_deadline_a_late_transfer_goes_to_a_cdn_and_not_to_a_peer_that_would_be_late_as_well() -> None:
    table = Table(config=BalancerConfig(cdn_transfers_max=0, peer_transfers_max=0, race_share=0.0))
    table.feed(CdnAdded("a", price_per_gb=1.0))
    table.playing(until=3)
    for peer, rate in (("p", 2 * SIZE), ("q", SIZE // 2)):
        table.join(peer, held=range(4, 5))
        table.policy._book.peers[peer].estimate.first_byte(20_000)
        table.policy._book.peers[peer].estimate.sample(SECOND, rate, table.now_us)
    table.until(table.policy._book.deadline_us(media(4)) - 2 * SECOND)
    asked = only(table.feed(ResourceRequested(media(4))))
    assert (asked.peer, asked.why) == ("p", "offload")
    seen = table.feed(TransferStarted(asked.transfer, SIZE))
    while not any(isinstance(action, CancelTransfer) for action in seen):
        seen += table.feed(TransferProgressed(asked.transfer, 10_000), after_us=SECOND // 10)
        seen += table.until(table.now_us)
    assert [action.cdn for action in seen if isinstance(action, FetchFromCdn)] == ["a"]
