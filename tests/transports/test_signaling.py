"""The tracker's client, against frames recorded between p2p-media-loader pages and a tracker."""

import json
import random
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.sansio.signaling import (
    ELSEWHERE,
    AnnounceDue,
    AnswerReceived,
    LinkDropped,
    OfferDropped,
    OfferReceived,
    SignalingEvent,
    SignalingLimits,
    SwarmCounted,
    TrackerClient,
    TrackerFailed,
    offer_id_of,
)

DATA = Path(__file__).parents[1] / "data" / "p2pml"
FRAMES = json.loads((DATA / "tracker_messages.json").read_text("utf-8"))["messages"]
REPLIES = json.loads((DATA / "tracker_replies.json").read_text("utf-8"))["exchanges"]

SWARM = "Dpdez33/Gs7mpWnfbhM5"
SECOND_US = 1_000_000
SMALL, LARGE = "-PM0203-aaaaaaaaaaaa", "-PM0203-zzzzzzzzzzzz"


def soonest() -> float:
    """Of what a wait may be, the shortest."""
    return 0.0


def client(peer_id: str = SMALL, *, chance: Callable[[], float] = soonest, **limits: int) -> TrackerClient:
    return TrackerClient(SWARM, peer_id, SignalingLimits(**limits), chance=chance)


def offer_ids(count: int, seed: int = 0) -> list[str]:
    source = random.Random(seed)
    return [offer_id_of(source.randbytes(20)) for _ in range(count)]


def offer_text(peer_id: str, offer_id: str, sdp: str = "v=0", /, **changed: Any) -> str:
    message = {
        "action": "announce",
        "offer": {"type": "offer", "sdp": sdp},
        "offer_id": offer_id,
        "peer_id": peer_id,
        "info_hash": SWARM,
    }
    return json.dumps(message | changed)


def answer_text(peer_id: str, offer_id: str, sdp: str = "v=0") -> str:
    message = {
        "action": "announce",
        "answer": {"type": "answer", "sdp": sdp},
        "offer_id": offer_id,
        "peer_id": peer_id,
        "info_hash": SWARM,
    }
    return json.dumps(message)


def announced(peer: TrackerClient, count: int = 1, now_us: int = 0) -> list[str]:
    """Connect, and hand out offers."""
    peer.connected(now_us)
    found = offer_ids(count)
    peer.announce(dict.fromkeys(found, "v=0"), now_us)
    return found


def test_where_there_is_no_place_nothing_is_offered_and_no_offer_taken_until_there_is_one() -> None:
    peer = client(links_max=4)
    (ours,) = announced(peer)
    peer.links_max = 0
    assert peer.offers_wanted == 0
    assert peer.receive(offer_text(LARGE, offer_ids(1, 1)[0]), 0) == []
    assert peer.receive(answer_text(LARGE, ours), 0) == [OfferDropped(ours, "full")]
    assert peer.drops["full"] == 2
    peer.links_max = 1
    assert peer.offers_wanted == 1
    theirs = offer_ids(1, 2)[0]
    assert peer.receive(offer_text(LARGE, theirs), 0) == [OfferReceived(LARGE, theirs, "v=0")]
    assert peer.offers_wanted == 0


# --- recordings ------------------------------------------------------------


@pytest.mark.parametrize("page", ["A", "B"])
def test_announces_and_answers_are_what_a_recorded_page_sent(page: str) -> None:
    ours: TrackerClient | None = None
    linked: set[str | None] = set()
    for frame in FRAMES:
        if frame["client"] != page:
            continue
        message, now_us = json.loads(frame["text"]), int(frame["t_ms"] * 1000)
        if ours is None:
            ours = TrackerClient(message["info_hash"], message["peer_id"], chance=soonest)
            assert ours.connected(now_us) == [AnnounceDue(5)]
        if frame["direction"] == "client_to_tracker":
            if "answer" in message:
                written = ours.answer(message["to_peer_id"], message["offer_id"], message["answer"]["sdp"])
                assert written is not None
            else:
                offers = {offer["offer_id"]: offer["offer"]["sdp"] for offer in message["offers"]}
                written = ours.announce(offers, now_us)
            assert json.loads(written) == message
            continue
        events = ours.receive(frame["text"], now_us)
        if "offer" in message and message["peer_id"] in linked:
            assert events == []
            assert ours.drops["duplicate"] == ours.drops.total()
            continue
        assert events == [expected_event(message)]
        linked.add(message.get("peer_id"))
    assert ours is not None
    assert ours.drops["duplicate"] >= 1


def expected_event(message: dict[str, Any]) -> SignalingEvent:
    if "offer" in message:
        return OfferReceived(message["peer_id"], message["offer_id"], message["offer"]["sdp"])
    if "answer" in message:
        return AnswerReceived(message["peer_id"], message["offer_id"], message["answer"]["sdp"])
    return SwarmCounted(message["incomplete"], 10 * SECOND_US)


@pytest.mark.parametrize("exchange", REPLIES, ids=lambda exchange: json.dumps(exchange["recv"])[:60])
def test_every_recorded_answer_of_a_tracker_is_understood(exchange: dict[str, Any]) -> None:
    answer = exchange["recv"]
    ours = TrackerClient(answer.get("info_hash", SWARM), SMALL, chance=soonest)
    events = ours.receive(json.dumps(answer), 0)
    if "failure reason" in answer:
        assert events == [TrackerFailed(answer["failure reason"])]
    elif answer["action"] == "announce":
        assert events == [SwarmCounted(answer["incomplete"], 120 * SECOND_US)]
    else:
        assert events == []
        assert ours.drops == {"unknown_action": 1}


# --- announcing ------------------------------------------------------------


def test_the_first_announce_of_a_socket_says_started_and_the_last_stopped() -> None:
    ours = client()
    ours.connected(0)
    assert json.loads(ours.announce({}, 0))["event"] == "started"
    assert "event" not in json.loads(ours.announce({}, 0))
    ours.disconnected()
    ours.connected(1)
    assert json.loads(ours.announce({}, 1, uploaded=7, downloaded=8)) == {
        "numwant": 0,
        "uploaded": 7,
        "downloaded": 8,
        "event": "started",
        "action": "announce",
        "info_hash": SWARM,
        "peer_id": SMALL,
        "offers": [],
    }
    assert json.loads(ours.stop())["event"] == "stopped"
    assert ours.wake_at_us is None


def test_who_comes_to_hold_all_says_completed_once_and_nothing_left_from_then_on() -> None:
    ours = client()
    announced(ours)
    assert "left" not in json.loads(ours.announce({}, 0))
    text = ours.hold_all(is_so=True)
    assert text is not None
    assert json.loads(text) == {
        "numwant": 0,
        "event": "completed",
        "left": 0,
        "action": "announce",
        "info_hash": SWARM,
        "peer_id": SMALL,
        "offers": [],
    }
    assert json.loads(ours.announce({}, 1))["left"] == 0
    assert ours.hold_all(is_so=False) is None
    assert "left" not in json.loads(ours.announce({}, 2))
    assert ours.hold_all(is_so=True) is None, "it is not completed twice"
    assert json.loads(ours.announce({}, 3))["left"] == 0


@pytest.mark.parametrize("moment", ["before the first announce", "while the tracker is away"])
def test_who_holds_all_while_it_is_in_no_swarm_says_so_as_it_joins(moment: str) -> None:
    ours = client()
    if moment == "while the tracker is away":
        announced(ours)
        ours.disconnected()
    assert ours.hold_all(is_so=True) is None
    ours.connected(1)
    message = json.loads(ours.announce({}, 1))
    assert (message["event"], message["left"]) == ("started", 0)


def test_the_announce_is_repeated_at_the_interval_of_the_tracker() -> None:
    ours = client()
    assert ours.wake_at_us is None
    assert ours.connected(0) == [AnnounceDue(5)]
    assert ours.wake_at_us == 120 * SECOND_US
    ours.receive(json.dumps({"action": "announce", "info_hash": SWARM, "interval": 30}), 2 * SECOND_US)
    assert ours.wake_at_us == 30 * SECOND_US
    assert ours.tick(30 * SECOND_US - 1) == []
    assert ours.tick(30 * SECOND_US) == [AnnounceDue(5)]
    assert ours.wake_at_us == 60 * SECOND_US
    ours.disconnected()
    assert ours.tick(90 * SECOND_US) == []


def count_text(viewers: int) -> str:
    return json.dumps({"action": "announce", "info_hash": SWARM, "interval": 120, "incomplete": viewers})


def test_who_is_alone_among_others_announces_sooner_and_ever_less_often() -> None:
    ours, moments = client(), [0]
    ours.connected(0)
    while len(moments) < 6:
        ours.receive(count_text(3), moments[-1] * SECOND_US + 5)
        moments.append(ours.wake_at_us // SECOND_US)
        assert ours.tick(moments[-1] * SECOND_US) == [AnnounceDue(5)]
    assert moments == [0, 15, 45, 105, 225, 345]


def test_who_was_alone_announces_soon_after_somebody_came_and_could_not_be_connected() -> None:
    ours = client()
    ours.connected(0)
    ours.receive(count_text(1), 0)
    ours.receive(offer_text(LARGE, "o" * 20), 40 * SECOND_US)
    ours.link_closed(LARGE, "o" * 20)
    assert ours.tick(55 * SECOND_US) == [AnnounceDue(5)]


@pytest.mark.parametrize("has_met", [False, True])
def test_who_met_a_peer_or_has_nobody_to_meet_announces_at_the_interval(has_met: bool) -> None:
    ours = client()
    ours.connected(0)
    ours.receive(count_text(2 if has_met else 1), 0)
    if has_met:
        ours.met(LARGE, 14 * SECOND_US)
    assert ours.tick(15 * SECOND_US) == []
    assert ours.wake_at_us == 120 * SECOND_US
    assert ours.tick(120 * SECOND_US) == [AnnounceDue(5)]


@pytest.mark.parametrize(("interval", "followed_us"), [(0, 5), (-1, 5), (1e300, 1800), (3600, 1800), (7.5, 7.5)])
def test_an_interval_is_kept_within_reason(interval: float, followed_us: float) -> None:
    reply = json.dumps({"action": "announce", "info_hash": SWARM, "interval": interval, "incomplete": 3})
    assert client().receive(reply, 0) == [SwarmCounted(3, int(followed_us * SECOND_US))]


def test_offers_are_asked_for_only_while_more_peers_are_wanted() -> None:
    ours = client(links_max=6)
    for place in range(6):
        assert ours.receive(offer_text(f"-PM0203-{place:012}", "o" * 20), 0) != []
        assert ours.connected(0) == [AnnounceDue(min(5, 5 - place))]
    assert ours.receive(offer_text(LARGE, "o" * 20), 0) == []
    assert ours.drops == {"full": 1}


def test_an_offer_that_nobody_answers_is_dropped_after_50_s() -> None:
    ours = client()
    first, second = announced(ours, 2)
    ours.receive(answer_text(LARGE, second), SECOND_US)
    ours.link_opened(LARGE, second, SECOND_US)
    assert ours.wake_at_us == 50 * SECOND_US
    assert ours.tick(50 * SECOND_US - 1) == []
    assert ours.receive(answer_text("x" * 20, first), 50 * SECOND_US) == []
    assert ours.tick(50 * SECOND_US) == [OfferDropped(first, "expired")]
    assert ours.drops == {"unknown_offer": 1}


@pytest.mark.parametrize(
    "offers",
    [dict.fromkeys(offer_ids(6), "v=0"), {"short": "v=0"}, {"\u0100" * 20: "v=0"}, {"o" * 20: "s" * 16385}],
    ids=["six", "short id", "wide id", "long description"],
)
def test_offers_that_no_tracker_takes_are_our_own_mistake(offers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"limit|characters"):
        client().announce(offers, 0)


def test_an_offer_id_is_used_once() -> None:
    ours = client()
    (offer_id,) = announced(ours)
    with pytest.raises(ValueError, match="before"):
        ours.announce({offer_id: "v=0"}, 0)


def test_names_that_are_not_20_bytes_are_our_own_mistake() -> None:
    for info_hash, peer_id in ((SWARM[1:], SMALL), (SWARM, SMALL + "a"), ("\u2713" * 20, SMALL)):
        with pytest.raises(ValueError, match="20 characters"):
            TrackerClient(info_hash, peer_id, chance=soonest)
    with pytest.raises(ValueError, match="20 bytes"):
        offer_id_of(b"short")


# --- peers -----------------------------------------------------------------


def test_an_answer_counts_once_and_only_for_an_offer_that_is_ours() -> None:
    ours = client()
    (offer_id,) = announced(ours)
    assert ours.receive(answer_text(LARGE, "?" * 20), 0) == []
    assert ours.receive(answer_text(LARGE, offer_id), 0) == [AnswerReceived(LARGE, offer_id, "v=0")]
    assert ours.receive(answer_text("x" * 20, offer_id), 0) == []
    assert ours.drops == {"unknown_offer": 2}


def test_a_second_link_to_an_open_peer_is_refused_both_ways() -> None:
    ours = client()
    (mine,) = announced(ours)
    assert ours.receive(offer_text(LARGE, "a" * 20), 0) != []
    assert ours.link_opened(LARGE, "a" * 20, 0)
    assert ours.receive(offer_text(LARGE, "b" * 20), 0) == []
    assert ours.receive(answer_text(LARGE, mine), 0) == [OfferDropped(mine, "duplicate")]
    assert not ours.link_opened(LARGE, mine, 0)


def test_a_banned_peer_is_refused_both_ways_and_its_answer_ends_the_offer() -> None:
    ours = client()
    ours.connected(0)
    mine, theirs = offer_ids(2)
    ours.announce({mine: "v=0"}, 0)
    ours.ban(LARGE)
    assert ours.receive(offer_text(LARGE, theirs), 1) == []
    assert ours.receive(answer_text(LARGE, mine), 2) == [OfferDropped(mine, "banned")]
    assert ours.drops["banned"] == 2
    assert ours.receive(offer_text("-PM0203-bbbbbbbbbbbb", theirs), 3) == [
        OfferReceived("-PM0203-bbbbbbbbbbbb", theirs, "v=0")
    ]


def test_a_peer_that_is_banned_for_a_while_is_met_after_it() -> None:
    ours = client()
    (theirs,) = offer_ids(1)
    ours.ban(LARGE, 5)
    assert ours.receive(offer_text(LARGE, theirs), 4) == []
    assert ours.receive(offer_text(LARGE, theirs), 5) == [OfferReceived(LARGE, theirs, "v=0")]


def test_of_two_bans_the_longer_one_counts_and_one_for_ever_stays() -> None:
    ours = client()
    (theirs,) = offer_ids(1)
    for until_us in (9, 5):
        ours.ban(LARGE, until_us)
    assert ours.receive(offer_text(LARGE, theirs), 8) == []
    for ban in (None, 9):
        ours.ban(LARGE, ban)
    assert ours.receive(offer_text(LARGE, theirs), 1_000) == []


def test_the_oldest_of_too_many_bans_is_forgotten() -> None:
    ours = client(banned_max=2)
    for peer_id in ("a" * 20, "b" * 20, "a" * 20, "c" * 20):
        ours.ban(peer_id)
    (theirs,) = offer_ids(1)
    assert ours.receive(offer_text("a" * 20, theirs), 1) == []
    assert ours.receive(offer_text("c" * 20, theirs), 1) == []
    assert ours.receive(offer_text("b" * 20, theirs), 1) == [OfferReceived("b" * 20, theirs, "v=0")]


def test_a_peer_whose_link_closed_may_be_met_again() -> None:
    ours = client()
    ours.receive(offer_text(LARGE, "a" * 20), 0)
    ours.link_opened(LARGE, "a" * 20, 0)
    ours.link_closed(LARGE, "b" * 20)  # of another link: nothing
    assert ours.receive(offer_text(LARGE, "c" * 20), 0) == []
    ours.link_closed(LARGE, "a" * 20)
    assert ours.receive(offer_text(LARGE, "c" * 20), 0) == [OfferReceived(LARGE, "c" * 20, "v=0")]


def test_a_peer_that_was_met_at_another_tracker_is_refused_here_until_it_is_gone() -> None:
    ours = client()
    (mine,) = announced(ours)
    ours.met(LARGE, 0)
    assert ours.receive(offer_text(LARGE, "a" * 20), 0) == []
    assert ours.receive(answer_text(LARGE, mine), 0) == [OfferDropped(mine, "duplicate")]
    assert ours.drops == {"duplicate": 2}
    ours.link_closed(LARGE, ELSEWHERE)
    assert ours.receive(offer_text(LARGE, "a" * 20), 0) == [OfferReceived(LARGE, "a" * 20, "v=0")]


def test_an_attempt_under_way_goes_on_when_the_peer_is_met_at_another_tracker() -> None:
    ours = client()
    ours.receive(offer_text(LARGE, "a" * 20), 0)
    ours.met(LARGE, 1)
    assert ours.answer(LARGE, "a" * 20, "v=0") is not None
    assert ours.link_opened(LARGE, "a" * 20, 2)


def test_a_link_that_does_not_open_is_given_up() -> None:
    ours = client()
    ours.receive(offer_text(LARGE, "a" * 20), 0)
    assert ours.wake_at_us == 60 * SECOND_US
    assert ours.tick(60 * SECOND_US) == [LinkDropped(LARGE, "a" * 20, "expired")]
    assert ours.answer(LARGE, "a" * 20, "v=0") is None
    assert ours.link_opened(LARGE, "a" * 20, 61 * SECOND_US)  # it did after all, and nobody took its place


@pytest.mark.parametrize(("own", "theirs", "kept"), [(SMALL, LARGE, "ours"), (LARGE, SMALL, "theirs")])
def test_of_two_offers_at_once_that_of_the_smaller_peer_id_wins(own: str, theirs: str, kept: str) -> None:
    ours = client(own)
    (mine,) = announced(ours)
    ours.receive(offer_text(theirs, "b" * 20), 0)
    events = ours.receive(answer_text(theirs, mine), 0)
    if kept == "ours":
        assert events == [LinkDropped(theirs, "b" * 20, "superseded"), AnswerReceived(theirs, mine, "v=0")]
        assert ours.answer(theirs, "b" * 20, "v=0") is None
        assert not ours.link_opened(theirs, "b" * 20, 0)
    else:
        assert events == [OfferDropped(mine, "duplicate")]
        assert ours.link_opened(theirs, "b" * 20, 0)


@given(st.lists(st.sampled_from(["to small", "to large", "small answers", "large answers"]), max_size=12))
def test_however_two_offers_cross_both_sides_keep_the_same_link(order: list[str]) -> None:
    sides = {"small": client(SMALL), "large": client(LARGE)}
    ids = {"small": SMALL, "large": LARGE}
    other = {"small": "large", "large": "small"}
    inbox: dict[str, deque[str]] = {name: deque() for name in sides}
    unanswered: dict[str, list[str]] = {name: [] for name in sides}
    attempts: dict[str, set[str]] = {name: set() for name in sides}  # offers whose link this side still works on
    for seed, (name, side) in enumerate(sides.items()):
        side.connected(0)
        (offer_id,) = offer_ids(1, seed)
        side.announce({offer_id: "v=0"}, 0)
        inbox[other[name]].append(offer_text(ids[name], offer_id))

    def step(what: str) -> None:
        name = what.removeprefix("to ").removesuffix(" answers")
        if what.endswith("answers"):
            for offer_id in unanswered[name]:
                if sides[name].answer(ids[other[name]], offer_id, "v=0") is not None:
                    inbox[other[name]].append(answer_text(ids[name], offer_id))
            unanswered[name].clear()
        elif inbox[name]:
            for event in sides[name].receive(inbox[name].popleft(), 0):
                match event:
                    case OfferReceived():
                        unanswered[name].append(event.offer_id)
                        attempts[name].add(event.offer_id)
                    case AnswerReceived():
                        attempts[name].add(event.offer_id)
                    case LinkDropped():
                        attempts[name].discard(event.offer_id)

    for what in order + ["to small", "to large", "small answers", "large answers"] * 4:
        step(what)
    common = attempts["small"] & attempts["large"]
    assert len(common) == 1
    (offer_id,) = common
    assert all(side.link_opened(ids[other[name]], offer_id, 0) for name, side in sides.items())


# --- strangers -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", "malformed"),
        ("[]", "malformed"),
        ('"\\ud800"', "malformed"),
        ("\ud800", "malformed"),
        ("[" * 100_000, "malformed"),
        ('{"x":' * 20_000, "malformed"),  # of what is not known, a parser looks for the end
        (offer_text(LARGE, "o" * 20, offer=7), "malformed"),
        (offer_text(LARGE, "o" * 19), "malformed"),
        (offer_text("\u2713" * 20, "o" * 20), "malformed"),
        (offer_text(LARGE, "o" * 20, offer={"type": "answer", "sdp": "v=0"}), "malformed"),
        (offer_text(LARGE, "o" * 20, peer_id=None), "malformed"),
        (offer_text(LARGE, "o" * 20, "s" * 16385), "sdp_too_large"),
        (offer_text(LARGE, "o" * 20, "s" * 140_000), "message_too_large"),
        (offer_text(LARGE, "o" * 20, info_hash="B" * 20), "other_swarm"),
        (offer_text(LARGE, "o" * 20, info_hash=None), "unknown_action"),
        (offer_text(SMALL, "o" * 20), "own"),
        (json.dumps({"action": "bogus", "info_hash": SWARM}), "unknown_action"),
        ("{}", "unknown_action"),
    ],
)
def test_what_is_not_understood_is_counted_and_passed_over(text: str, reason: str) -> None:
    ours = client()
    assert ours.receive(text, 0) == []
    assert ours.drops == {reason: 1}


def test_a_flood_of_offers_is_cut_to_so_many_a_second() -> None:
    ours = client(incoming_offers_per_second_max=3)
    peers = [f"-PM0203-{place:012}" for place in range(12)]
    taken = [ours.receive(offer_text(peer, "o" * 20), place * 100_000) != [] for place, peer in enumerate(peers)]
    assert taken == [True] * 3 + [False] * 7 + [True] * 2
    assert ours.drops == {"too_many_offers": 7}


def test_a_long_failure_reason_is_cut() -> None:
    assert client().receive(json.dumps({"failure reason": "x" * 9999}), 0) == [TrackerFailed("x" * 200)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=25),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from([
    "action", "info_hash", "peer_id", "offer_id", "offer", "answer", "interval", "complete", "failure reason",
])  # fmt: skip


@given(st.text() | st.dictionaries(fields, json_values).map(lambda found: json.dumps(found)))
def test_whatever_a_tracker_sends_gives_events_or_a_count(text: str) -> None:
    ours = client()
    assert len(ours.receive(text, 0)) + ours.drops.total() == 1


# --- peers that came together -------------------------------------------------


@given(
    draws=st.lists(st.floats(-1, 2), min_size=1, max_size=20),
    interval_s=st.floats(0, 4000),
    others=st.integers(0, 3),
    opens=st.booleans(),
)
def test_a_wait_is_never_shorter_than_the_trackers_and_longer_by_a_quarter_at_most(
    draws: list[float], interval_s: float, others: int, opens: bool
) -> None:
    moments = iter(draws)
    ours = client(chance=lambda: next(moments, 0.5))
    now_us = 0
    ours.connected(now_us)
    shortest_us = ours.limits.alone_interval_us
    for _ in draws:
        ours.announce({}, now_us)
        (counted,) = ours.receive(counted_text(interval_s, 1 + others), now_us)
        assert isinstance(counted, SwarmCounted)
        if opens:
            ours.link_opened(LARGE, "o" * 20, now_us)
        wake_at_us = ours.wake_at_us
        assert wake_at_us is not None
        wait_us = wake_at_us - now_us
        # Who is alone among others comes sooner on purpose, from 15 s on and twice as late each time.
        least_us = counted.interval_us if opens or not others else min(shortest_us, counted.interval_us)
        assert least_us <= wait_us <= least_us * 5 // 4 + 1
        assert ours.tick(wake_at_us - 1) == []
        shortest_us = 2 * least_us if not opens and others else ours.limits.alone_interval_us
        now_us = wake_at_us
        assert ours.tick(now_us) == [AnnounceDue(5)]


def counted_text(interval_s: float, peer_count: int) -> str:
    reply = {"action": "announce", "info_hash": SWARM, "interval": interval_s, "complete": 0, "incomplete": peer_count}
    return json.dumps(reply)


def announces_each_second(count: int, seconds: int, *, draws: Callable[[], float]) -> Counter[int]:
    """Of peers that all came at 0 to a tracker that asks for two minutes."""
    found: Counter[int] = Counter()
    for _ in range(count):
        peer = client(chance=draws)
        peer.connected(0)
        now_us = 0
        while now_us < seconds * SECOND_US:
            found[now_us // SECOND_US] += 1
            peer.announce({}, now_us)
            peer.receive(counted_text(120, 1), now_us)
            assert peer.wake_at_us is not None
            now_us = peer.wake_at_us
            peer.tick(now_us)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_peers_that_came_in_one_moment_do_not_go_on_announcing_in_one(seed: int) -> None:
    count, seconds = 1000, 3600
    found = announces_each_second(count, seconds, draws=random.Random(seed).random)
    assert found.pop(0) == count  # they did come together
    # By the second announce over half a minute, a quarter of the interval, and after half an hour over most of it.
    assert max(found.values()) < count / 15
    assert max(found[second] for second in range(1800, seconds)) < count / 25


def test_without_chance_they_would() -> None:
    found = announces_each_second(10, 600, draws=soonest)
    assert found == dict.fromkeys(range(0, 600, 120), 10)


@given(st.floats(0, 1), st.lists(st.sampled_from(["counted", "met", "offer"]), max_size=8))
def test_what_happens_between_two_announces_draws_no_new_moment(share: float, happenings: list[str]) -> None:
    drawn = 0

    def chance() -> float:
        nonlocal drawn
        drawn += 1
        return share

    ours = client(chance=chance)
    announced(ours)
    for number, happening in enumerate(happenings):
        if happening == "counted":
            ours.receive(counted_text(120, 5), number)
        elif happening == "met":
            ours.met(f"{number:020}", number)
        else:
            ours.receive(offer_text(f"{number:020}", f"{number:020}"), number)
    assert drawn == 1
