"""The tracker's decisions, against the answers of bittorrent-tracker and on their own."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shoal.app.tracker_core import TrackerCore, TrackerLimits

from ..effort import EFFORT

DATA = Path(__file__).parents[1] / "data" / "p2pml"
FRAMES = json.loads((DATA / "tracker_messages.json").read_text("utf-8"))["messages"]
REPLIES = json.loads((DATA / "tracker_replies.json").read_text("utf-8"))["exchanges"]

SWARM, OTHER_SWARM = "A" * 20, "B" * 20


def core(**limits: int) -> TrackerCore:
    return TrackerCore(random.Random(1), TrackerLimits(**limits))


def peer(number: int) -> str:
    return f"-PM0203-{number:012}"


def offers(count: int, sdp: str = "v=0") -> list[dict[str, Any]]:
    return [{"offer": {"type": "offer", "sdp": sdp}, "offer_id": f"{place:020}"} for place in range(count)]


def say(tracker: TrackerCore, socket: int, now_us: int = 0, **message: Any) -> list[tuple[int, dict[str, Any]]]:
    texts = tracker.receive(socket, json.dumps(message), now_us)
    return [(to, json.loads(text)) for to, text in texts]


def announce(tracker: TrackerCore, socket: int, number: int | None = None, **changed: Any) -> Any:
    message = {"action": "announce", "info_hash": SWARM, "peer_id": peer(socket if number is None else number)}
    return say(tracker, socket, **message | changed)


def swarm_of(count: int, **limits: int) -> TrackerCore:
    """A tracker with sockets 1 to count, each a peer of SWARM."""
    tracker = core(**limits)
    for socket in range(1, count + 1):
        assert tracker.opened(socket, "192.0.2.1") is None
        announce(tracker, socket)
    return tracker


def failure(texts: list[tuple[int, dict[str, Any]]]) -> str:
    ((_, reply),) = texts
    assert list(reply) == ["failure reason"]
    return str(reply["failure reason"])


# --- recordings ------------------------------------------------------------


def test_answers_are_those_of_bittorrent_tracker_but_for_what_it_forgets() -> None:
    tracker = core()
    socket = 1
    tracker.opened(socket, "192.0.2.1")
    for exchange in REPLIES:
        if "note" in exchange:
            tracker.closed(socket)
            socket += 1
            tracker.opened(socket, "192.0.2.1")
        text = exchange.get("send_text") or json.dumps(exchange["send"])
        ((to, reply),) = tracker.receive(socket, text, 0)
        expected = exchange["recv"]
        if "note" in exchange:
            # The second peer of the closed socket, which bittorrent-tracker keeps for 20 minutes.
            assert expected["files"][OTHER_SWARM]["incomplete"] == 1
            expected["files"][OTHER_SWARM]["incomplete"] = 0
        if "send_text" in exchange:
            assert "not valid JSON" in expected["failure reason"]
            assert "not valid JSON" in json.loads(reply)["failure reason"]
        else:
            assert json.loads(reply) == expected
        assert to == socket


def test_a_recorded_meeting_of_two_pages_is_relayed_as_recorded() -> None:
    tracker = core(interval_s=10)
    sockets = {"A": 1, "B": 2}
    for socket in sockets.values():
        tracker.opened(socket, "192.0.2.1")
    produced: list[tuple[int, str]] = []
    recorded: list[tuple[int, str]] = []
    for frame in FRAMES:
        socket = sockets[frame["client"]]
        if frame["direction"] == "client_to_tracker":
            texts = tracker.receive(socket, frame["text"], int(frame["t_ms"] * 1000))
            produced += [(to, canonical(text)) for to, text in texts]
        else:
            recorded.append((socket, canonical(frame["text"])))
    assert sorted(produced) == sorted(recorded)


def canonical(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


# --- swarms ----------------------------------------------------------------


def test_offers_go_to_distinct_peers_and_never_back() -> None:
    tracker = swarm_of(8)
    *relayed, (to, reply) = announce(tracker, 3, numwant=5, offers=offers(5))
    assert (to, reply["incomplete"]) == (3, 8)
    receivers = [receiver for receiver, _ in relayed]
    assert len(set(receivers)) == len(receivers) == 5
    assert 3 not in receivers
    assert [message["offer_id"] for _, message in relayed] == [f"{place:020}" for place in range(5)]
    assert {message["peer_id"] for _, message in relayed} == {peer(3)}


def test_over_many_announces_every_peer_is_offered_to() -> None:
    tracker = swarm_of(20, messages_burst=1000)
    reached = {to for _ in range(60) for to, message in announce(tracker, 1, offers=offers(5)) if "offer" in message}
    assert reached == set(range(2, 21))


def test_offers_go_to_the_same_network_first_and_to_who_has_everything() -> None:
    tracker = core()
    for socket in range(1, 41):
        address = f"192.0.2.{socket}" if socket <= 5 else f"198.51.{socket}.1"
        assert tracker.opened(socket, address) is None
        announce(tracker, socket, **({"left": 0} if socket == 40 else {}))
    receivers = {to for to, message in announce(tracker, 1, offers=offers(5)) if "offer" in message}
    assert len(receivers & {2, 3, 4, 5}) >= 3
    assert 40 in receivers


@pytest.mark.parametrize(("numwant", "relayed"), [(None, 3), (2, 2), (0, 0), (-1, 0), (1e300, 3), (50, 3)])
def test_no_more_offers_are_relayed_than_were_wanted_and_sent(numwant: float | None, relayed: int) -> None:
    assert len(announce(swarm_of(8), 1, numwant=numwant, offers=offers(3))) == relayed + 1


def test_only_type_and_sdp_of_an_offer_are_passed_on() -> None:
    tracker = swarm_of(2)
    (offer,) = offers(1)
    offer["offer"]["extra"] = offer["extra"] = "?" * 100
    (_, message), _ = announce(tracker, 1, offers=[offer])
    assert message["offer"] == {"type": "offer", "sdp": "v=0"}
    assert set(message) == {"action", "offer", "offer_id", "peer_id", "info_hash"}


def test_an_answer_goes_to_the_peer_it_names_and_nothing_comes_back() -> None:
    tracker = swarm_of(3)
    answer = {"type": "answer", "sdp": "v=0"}
    texts = announce(tracker, 1, to_peer_id=peer(2), offer_id="o" * 20, answer=answer)
    relayed = {"action": "announce", "answer": answer, "offer_id": "o" * 20, "peer_id": peer(1), "info_hash": SWARM}
    assert texts == [(2, relayed)]


def test_answers_do_not_cross_swarms() -> None:
    tracker = swarm_of(2)
    tracker.opened(3, "192.0.2.1")
    announce(tracker, 3, info_hash=OTHER_SWARM)
    message = {"offer_id": "o" * 20, "answer": {"type": "answer", "sdp": "v=0"}, "to_peer_id": peer(1)}
    assert announce(tracker, 3, info_hash=OTHER_SWARM, **message) == []
    assert "announce first" in failure(announce(tracker, 3, **message))
    assert "announce first" in failure(announce(tracker, 2, 1, **message))  # in another peer's name
    assert tracker.statistics().failures == {"addressee_gone": 1, "stranger": 2}


def test_a_closed_socket_leaves_every_swarm_at_once() -> None:
    tracker = swarm_of(2)
    announce(tracker, 1, info_hash=OTHER_SWARM)
    tracker.closed(1)
    tracker.closed(1)
    statistics = tracker.statistics()
    assert (statistics.sockets, statistics.swarms, statistics.peers) == (1, 1, 1)
    assert tracker.receive(1, "{}", 0) == []


def test_a_peer_that_stopped_is_offered_to_no_more() -> None:
    tracker = swarm_of(2)
    ((_, reply),) = announce(tracker, 2, event="stopped")
    assert reply["incomplete"] == 1
    assert len(announce(tracker, 1, offers=offers(5))) == 1


def test_only_its_own_socket_can_stop_a_peer() -> None:
    tracker = swarm_of(2)
    ((_, reply),) = announce(tracker, 1, 2, event="stopped")
    assert reply["incomplete"] == 2


@pytest.mark.parametrize("finished", [{"event": "completed"}, {"left": 0}])
def test_peers_that_have_everything_count_as_complete(finished: dict[str, Any]) -> None:
    tracker = swarm_of(2)
    ((_, reply),) = announce(tracker, 1, **finished)
    assert (reply["complete"], reply["incomplete"]) == (1, 1)


def test_a_peer_id_moves_to_a_new_socket_of_the_same_address_only() -> None:
    tracker = swarm_of(2)
    tracker.opened(3, "192.0.2.1")
    tracker.opened(4, "198.51.100.1")
    assert failure(announce(tracker, 4, 1)) == "peer_id is in use"
    ((_, reply),) = announce(tracker, 3, 1)
    assert reply["incomplete"] == 2
    tracker.closed(1)
    (to, _), _ = announce(tracker, 2, offers=offers(1))
    assert to == 3


# --- limits and failures ---------------------------------------------------


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"action": "announce", "info_hash": SWARM, "peer_id": "short"}, "invalid peer_id"),
        ({"action": "announce", "info_hash": [SWARM], "peer_id": peer(1)}, "invalid info_hash"),
        ({"action": "announce", "info_hash": "\u2713" * 20, "peer_id": peer(1)}, "invalid info_hash"),
        ({"action": "announce", "info_hash": SWARM, "peer_id": peer(1), "event": "bogus"}, "invalid event"),
        ({"action": "announce", "info_hash": SWARM, "peer_id": peer(9)}, "one peer_id"),
        ({"action": "announce", "info_hash": SWARM, "peer_id": peer(1), "offers": offers(11)}, "11 offers"),
        ({"action": "announce", "info_hash": SWARM, "peer_id": peer(1), "offers": offers(1, "s" * 16385)}, "16384"),
        ({"action": "announce", "info_hash": SWARM, "peer_id": peer(1), "offers": [7]}, "invalid message"),
        ({"action": "scrape"}, "invalid info_hash"),
        ({"action": "scrape", "info_hash": [SWARM] * 51}, "51 info hashes"),
        ({"action": "scrape", "info_hash": [SWARM, "short"]}, "invalid info_hash"),
        ({}, "invalid action in WS request: None"),
        ({"padding": "x" * 140_000}, "bytes"),
    ],
)
def test_a_bad_message_gets_a_failure_reason_and_changes_nothing(message: dict[str, Any], reason: str) -> None:
    tracker = swarm_of(2)
    assert reason in failure(say(tracker, 1, **message))
    assert sum(tracker.statistics().failures.values()) == 1
    assert tracker.statistics().peers == 2


def test_a_socket_joins_so_many_swarms_and_no_more() -> None:
    tracker = swarm_of(1, swarms_per_socket_max=2)
    assert "interval" in announce(tracker, 1, info_hash=OTHER_SWARM)[0][1]
    assert "more than 2 swarms" in failure(announce(tracker, 1, info_hash="C" * 20))
    announce(tracker, 1, info_hash=OTHER_SWARM, event="stopped")
    assert "interval" in announce(tracker, 1, info_hash="C" * 20)[0][1]


def test_messages_beyond_the_rate_fail_and_the_other_sockets_notice_nothing() -> None:
    tracker = core(messages_per_second_max=1, messages_burst=3)
    for socket in (1, 2):
        tracker.opened(socket, "192.0.2.1")
    replies = [announce(tracker, 1)[0][1] for _ in range(4)]
    assert ["failure reason" in reply for reply in replies] == [False, False, False, True]
    assert "interval" in announce(tracker, 2)[0][1]
    later = say(tracker, 1, 1_000_000, action="announce", info_hash=SWARM, peer_id=peer(1))
    assert "interval" in later[0][1]


def test_one_token_brings_in_so_many_sockets_wherever_they_come_from() -> None:
    tracker = core(sockets_per_subject_max=2)
    assert tracker.opened(1, "192.0.2.1", "viewer") is None
    assert tracker.opened(2, "192.0.2.2", "viewer") is None
    assert tracker.opened(3, "192.0.2.3", "viewer") == "2 sockets of one token, and no more"
    assert tracker.opened(4, "192.0.2.3", "another") is None
    tracker.closed(1)
    tracker.closed(1)
    assert tracker.opened(5, "192.0.2.3", "viewer") is None
    assert tracker.statistics().failures == {"too_many_sockets_of_token": 1}


def test_sockets_are_limited_in_all_and_for_each_address() -> None:
    tracker = core(sockets_max=3, sockets_per_address_max=2)
    assert tracker.opened(1, "192.0.2.1") is None
    assert tracker.opened(2, "192.0.2.1") is None
    assert "one address" in (tracker.opened(3, "192.0.2.1") or "")
    assert tracker.opened(4, "198.51.100.1") is None
    assert "3 sockets" in (tracker.opened(5, "198.51.100.2") or "")
    tracker.closed(1)
    assert tracker.opened(6, "192.0.2.1") is None


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("unknown", "unknown", True),
    ],
)
def test_sockets_and_peer_ids_belong_to_the_holder_of_an_address(one: str, other: str, is_same: bool) -> None:
    tracker = core(sockets_per_address_max=2)
    assert tracker.opened(1, one) is None
    announce(tracker, 1, 7)
    assert tracker.opened(2, other) is None
    (_, reply), *_ = announce(tracker, 2, 7)  # a page that was loaded again, or somebody who wants to be it
    assert reply.get("failure reason") == (None if is_same else "peer_id is in use")
    refusal = tracker.opened(3, other)
    assert (refusal is not None) is is_same
    assert tracker.statistics().failures.get("too_many_sockets_of_address", 0) == is_same
    tracker.closed(1)
    tracker.closed(2)
    assert tracker.opened(4, other) is None


def test_a_host_with_a_network_of_its_own_gets_no_more_sockets_than_any_other() -> None:
    tracker = core(sockets_per_address_max=5)
    opened = [tracker.opened(number, f"2001:db8::{number:x}") is None for number in range(1, 1000)]
    assert sum(opened) == 5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=25),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from([
    "action", "info_hash", "peer_id", "to_peer_id", "offers", "offer_id", "answer", "event", "numwant", "left",
])  # fmt: skip


@given(st.text() | st.dictionaries(fields, json_values).map(lambda found: json.dumps(found)))
def test_whatever_a_client_sends_is_answered_to_that_client(text: str) -> None:
    tracker = swarm_of(1)
    assert [to for to, _ in tracker.receive(1, text, 0)] == [1]


class Swarms(RuleBasedStateMachine):
    """The counts of a scrape are those of a model: a set of (swarm, peer, socket)."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = core(messages_burst=10_000)
        self.sockets: set[int] = set()
        self.used: set[int] = set()
        self.members: set[tuple[str, int]] = set()

    @rule(socket=st.integers(0, 30))
    def open(self, socket: int) -> None:
        if socket not in self.used:
            assert self.tracker.opened(socket, "192.0.2.1") is None
            self.used.add(socket)
            self.sockets.add(socket)

    @rule(socket=st.integers(0, 30))
    def close(self, socket: int) -> None:
        self.tracker.closed(socket)
        self.sockets.discard(socket)
        self.members = {(swarm, member) for swarm, member in self.members if member != socket}

    @rule(socket=st.integers(0, 30), swarm=st.sampled_from([SWARM, OTHER_SWARM]), count=st.integers(0, 5))
    def join(self, socket: int, swarm: str, count: int) -> None:
        texts = announce(self.tracker, socket, info_hash=swarm, offers=offers(count))
        if socket not in self.sockets:
            assert texts == []
            return
        others = {member for name, member in self.members if name == swarm} - {socket}
        receivers = [to for to, message in texts if "offer" in message]
        assert len(receivers) == min(count, len(others))
        assert set(receivers) <= others
        self.members.add((swarm, socket))

    @rule(socket=st.integers(0, 30), swarm=st.sampled_from([SWARM, OTHER_SWARM]))
    def leave(self, socket: int, swarm: str) -> None:
        announce(self.tracker, socket, info_hash=swarm, event="stopped")
        self.members.discard((swarm, socket))

    @invariant()
    def counts_agree(self) -> None:
        statistics = self.tracker.statistics()
        assert statistics.sockets == len(self.sockets)
        assert statistics.peers == len(self.members)
        assert statistics.swarms == len({swarm for swarm, _ in self.members})


TestSwarms = Swarms.TestCase
TestSwarms.settings = settings(max_examples=40 * EFFORT, deadline=None)
