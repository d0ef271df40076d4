"""What the nodes of one tracker know of each other, with a room in the place of Redis."""

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.app.tracker_core import TrackerCore, TrackerLimits
from shoal.app.tracker_messages import About, Far, Shown
from shoal.app.tracker_nodes import (
    Action,
    Delete,
    Nodes,
    NodesLimits,
    Publish,
    Put,
    Relay,
    State,
    Subscribe,
    Unsubscribe,
)

SWARM, OTHER_SWARM = "A" * 20, bytes(range(200, 220)).decode("latin-1")
SECOND_US = 1_000_000
ANSWER = {"type": "answer", "sdp": "v=1"}


def peer(number: int) -> str:
    return f"-PM0203-{number:012}"


def offers(count: int) -> list[dict[str, Any]]:
    return [{"offer": {"type": "offer", "sdp": "v=0"}, "offer_id": f"{place:020}"} for place in range(count)]


class Room:
    """Keys that end, and channels: as much of Redis as nodes use, and a clock."""

    def __init__(self) -> None:
        self.now_us = 0
        self.nodes: list[Node] = []
        self._keys: dict[str, tuple[bytes, int]] = {}

    def node(self, **limits: int) -> "Node":
        node = Node(self, f"node{len(self.nodes)}", NodesLimits(**limits))
        self.nodes.append(node)
        return node

    def keys(self) -> set[str]:
        return {key for key, (_, until_us) in self._keys.items() if until_us > self.now_us}

    def perform(self, node: "Node", actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Subscribe(channel=channel, info_hash=info_hash):
                    node.channels.add(channel)
                    self._read(node, info_hash)
                case Unsubscribe(channel=channel):
                    node.channels.remove(channel)
                case Put(key=key, payload=payload, ttl_s=ttl_s):
                    self._keys[key] = (payload, self.now_us + ttl_s * SECOND_US)
                case Delete(key=key):
                    self._keys.pop(key, None)
                case Publish(channel=channel, payload=payload):
                    for other in self.nodes:
                        if channel in other.channels and not other.is_deaf:
                            other.hear(payload)

    def _read(self, node: "Node", info_hash: str) -> None:
        for other in self.nodes:
            payload, until_us = self._keys.get(node.nodes.key(info_hash, other.nodes.name), (b"", 0))
            if until_us > self.now_us and other is not node:
                node.hear(payload, until_us - self.now_us)

    def pass_time(self, seconds: int) -> None:
        """A second after the other, and who lives tells what it has every five."""
        for _ in range(seconds):
            self.now_us += SECOND_US
            for node in self.nodes:
                if self.now_us // SECOND_US % node.nodes.limits.refresh_s == 0 and node.is_alive:
                    node.refresh()


class Node:
    """A tracker's core that is one of several; each of its sockets is one peer."""

    def __init__(self, room: Room, name: str, limits: NodesLimits) -> None:
        self._room = room
        self.nodes = Nodes(name, limits=limits)
        self.nodes.is_connected = True
        self.core = TrackerCore(random.Random(1), far=self.nodes)
        self.channels = {self.nodes.channel}
        self.is_alive, self.is_deaf = True, False
        self.said: list[tuple[int, dict[str, Any]]] = []

    def join(self, number: int, swarm: str = SWARM, address: str = "192.0.2.1") -> Any:
        """The reply to a new peer's announce; it has the number of its socket."""
        assert self.core.opened(number, address) is None
        return self.announce(number, info_hash=swarm)

    def announce(self, number: int, **changed: Any) -> Any:
        for node in self._room.nodes:
            node.said.clear()
        message = {"action": "announce", "info_hash": SWARM, "peer_id": peer(number)} | changed
        for to, text in self.core.receive(number, json.dumps(message), self._room.now_us):
            if isinstance(to, Far):
                passed = self.nodes.pass_on(to, text)
                self._room.perform(self, [passed] if passed else [])
            else:
                self.said.append((to, json.loads(text)))
        self._tell(self.core.take_changed())
        return next((reply for to, reply in self.said if to == number and "interval" in reply), None)

    def leave(self, number: int) -> None:
        self.core.closed(number)
        self._tell(self.core.take_changed())

    def refresh(self) -> None:
        self.nodes.expire(self._room.now_us)
        self._tell({*self.core.swarms(), *self.core.take_changed(), *self.nodes.told()})

    def _tell(self, info_hashes: set[str]) -> None:
        for info_hash in info_hashes:
            shown = self.core.shown(info_hash, self.nodes.limits.peers_shown_max)
            self._room.perform(self, self.nodes.update(info_hash, shown))

    def hear(self, payload: bytes, remaining_us: int | None = None) -> None:
        relay = self.nodes.heard(payload, self._room.now_us, remaining_us)
        if relay is not None:
            socket = self.core.addressee(relay.info_hash, relay.peer_id)
            if socket is not None:
                self.said.append((socket, json.loads(relay.text)))

    def known(self) -> set[str]:
        return {far.peer_id for far in self.nodes.peers(SWARM)}


def two_nodes() -> tuple[Room, Node, Node]:
    """Peer 1 at the first node, peer 2 at the second."""
    room = Room()
    one, other = room.node(), room.node()
    one.join(1)
    other.join(2)
    return room, one, other


def test_an_offer_and_its_answer_cross_between_nodes() -> None:
    _, one, other = two_nodes()
    one.announce(1, offers=offers(1))
    ((to, offer),) = other.said
    assert (to, offer["peer_id"], offer["offer"]["sdp"]) == (2, peer(1), "v=0")
    other.announce(2, to_peer_id=peer(1), offer_id=offer["offer_id"], answer=ANSWER)
    to, answer = one.said[-1]
    assert (to, answer["peer_id"], answer["offer_id"], answer["answer"]) == (1, peer(2), offer["offer_id"], ANSWER)
    assert one.nodes.statistics().relayed_out == other.nodes.statistics().relayed_out == 1
    assert one.nodes.statistics().relayed_in == other.nodes.statistics().relayed_in == 1


def test_offers_are_spread_over_peers_here_and_at_other_nodes() -> None:
    room, one, other = two_nodes()
    third = room.node()
    one.join(3)
    third.join(4)
    third.join(5)
    reached: set[str] = set()
    for _ in range(40):
        one.announce(1, offers=offers(2))
        reached |= {peer(to) for node in (one, other, third) for to, message in node.said if "offer" in message}
    assert reached == {peer(number) for number in (2, 3, 4, 5)}


def test_peers_of_all_nodes_are_counted() -> None:
    _, one, other = two_nodes()
    other.join(3)
    other.announce(3, event="completed")
    assert one.announce(1)["incomplete"] == 2
    assert one.announce(1)["complete"] == 1
    other.leave(2)
    assert one.announce(1)["incomplete"] == 1


def test_a_peer_of_another_node_is_chosen_for_being_near_or_complete_as_one_here_is() -> None:
    room = Room()
    one, other = room.node(), room.node()
    for number in range(30):
        one.join(number, address=f"198.51.100.{number}")
    other.join(40, address="192.0.2.40")
    other.join(50, address="203.0.113.50")
    other.announce(50, left=0)
    one.join(60, address="192.0.2.60")
    one.announce(60, offers=offers(2))
    assert sorted(to for to, message in other.said if "offer" in message) == [40, 50]


class OldState(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """As it was before nodes told more than names."""

    node: str
    serial: int
    info_hash: str
    complete: int
    incomplete: int
    peer_ids: list[str]


def test_nodes_of_before_more_than_names_was_told_are_understood_and_understand() -> None:
    nodes = Nodes("here")
    nodes.update(SWARM, Shown(0, 1, [peer(1)]))
    nodes.heard(msgspec.msgpack.encode(OldState("there", 1, SWARM, 0, 2, [peer(2), peer(3)])), 0)
    assert nodes.peers(SWARM) == (known := [Far("there", SWARM, peer(2)), Far("there", SWARM, peer(3))])
    nodes.heard(
        msgspec.msgpack.encode(State("there", 2, SWARM, 1, 1, [peer(2), peer(3)], [About("c00002/24", True)])), 0
    )
    assert nodes.peers(SWARM) == [Far("there", SWARM, peer(2), "c00002/24", True), known[1]]
    assert nodes.statistics().failures == {}
    (put,) = [
        action
        for action in nodes.update(SWARM, Shown(0, 1, [peer(1)], [About("c00002/24")]))
        if isinstance(action, Put)
    ]
    assert msgspec.msgpack.decode(put.payload, type=OldState).peer_ids == [peer(1)]


def test_a_newcomer_reads_what_was_told_before_it_listened() -> None:
    room, _, _ = two_nodes()
    assert room.node().join(3)["incomplete"] == 1  # its reply comes before
    assert room.nodes[2].known() == {peer(1), peer(2)}


def test_peers_of_a_node_that_was_killed_are_gone_when_its_time_is_up_and_the_others_go_on() -> None:
    room, one, other = two_nodes()
    third = room.node()
    third.join(3)
    other.is_alive, other.is_deaf = False, True
    room.pass_time(9)
    assert one.known() == {peer(2), peer(3)}
    room.pass_time(11)
    assert one.known() == {peer(3)}
    assert one.announce(1, offers=offers(5))["incomplete"] == 2
    assert [to for to, _ in third.said] == [3]
    assert one.nodes.statistics().failures == {"node_expired": 1}
    assert room.node().join(4) is not None
    assert room.nodes[3].known() == {peer(1), peer(3)}


def test_peers_that_come_from_a_killed_node_are_not_there_twice() -> None:
    _, one, other = two_nodes()
    other.is_alive, other.is_deaf = False, True
    one.join(2)  # with the peer id that it has
    assert one.announce(1, offers=offers(5)) is not None
    assert [to for to, message in one.said if "offer" in message] == [2]
    assert one.nodes.statistics().relayed_out == 0


def test_what_was_lost_on_the_way_is_known_after_the_next_refresh() -> None:
    room, one, other = two_nodes()
    one.is_deaf = True
    other.join(3)
    assert one.known() == {peer(2)}
    one.is_deaf = False
    room.pass_time(5)
    assert one.known() == {peer(2), peer(3)}


def test_a_node_hears_of_a_swarm_only_while_it_has_a_peer_in_it() -> None:
    room, one, other = two_nodes()
    other.join(3, OTHER_SWARM)
    assert one.nodes.statistics().far_peers == 1
    one.leave(1)
    assert one.channels == {one.nodes.channel}
    assert one.nodes.statistics().far_peers == 0
    assert other.known() == set()
    assert room.keys() == {other.nodes.key(swarm, "node1") for swarm in (SWARM, OTHER_SWARM)}


def test_what_was_not_noted_as_changed_is_told_with_all_others_a_while_later() -> None:
    room = Room()
    one, other = room.node(), room.node()
    one.core.limits = TrackerLimits(changed_swarms_max=2)
    swarms = [f"{number:020}" for number in range(5)]
    for number, swarm in enumerate(swarms):
        other.join(100 + number, swarm)
    messages = [{"action": "announce", "info_hash": swarm, "peer_id": peer(0)} for swarm in swarms]
    one.core.opened(0, "192.0.2.1")
    for event in ("started", "stopped"):
        for message in messages:
            one.core.receive(0, json.dumps(message | {"event": event}), 0)
        assert sum(other.nodes.counts(swarm)[1] for swarm in swarms) == (0 if event == "started" else 5)
        late = one.core.statistics().failures["swarm_told_late"]
        room.pass_time(5)
        assert sum(other.nodes.counts(swarm)[1] for swarm in swarms) == (5 if event == "started" else 0)
        assert late == (3 if event == "started" else 6)
    assert one.nodes.told() == []
    assert one.channels == {one.nodes.channel}


def test_a_node_that_ends_leaves_at_once() -> None:
    room, one, other = two_nodes()
    room.perform(one, one.nodes.leave())
    assert other.known() == set()
    assert room.keys() == {other.nodes.key(SWARM, "node1")}


def test_a_node_that_reaches_no_other_goes_on_with_its_own_peers_and_counts() -> None:
    room, one, _ = two_nodes()
    one.join(3)
    one.nodes.forget()
    assert one.announce(1, offers=offers(5))["incomplete"] == 2
    assert [to for to, message in one.said if "offer" in message] == [3]
    assert one.nodes.pass_on(Far("node1", SWARM, peer(2)), "{}") is None
    assert one.nodes.statistics().failures == {"nodes_away": 1}
    assert not one.nodes.statistics().is_connected
    one.nodes.is_connected = True
    one.channels = {one.nodes.channel}
    one.refresh()
    assert one.known() == {peer(2)}
    assert room.nodes[1].known() == {peer(1), peer(3)}


def test_an_answer_finds_a_peer_that_was_not_shown() -> None:
    room = Room()
    one, other = room.node(peers_shown_max=2), room.node()
    for number in range(1, 6):
        one.join(number)
    other.join(9)
    hidden = next(number for number in range(1, 6) if peer(number) not in other.known())
    other.announce(9, to_peer_id=peer(hidden), offer_id="o" * 20, answer=ANSWER)
    assert [to for to, message in one.said if "answer" in message] == [hidden]
    other.announce(9, to_peer_id=peer(77), offer_id="o" * 20, answer=ANSWER)
    assert one.core.statistics().failures == {"addressee_gone": 1}


def test_an_answer_to_a_peer_here_asks_no_other_node() -> None:
    room = Room()
    one, other = room.node(), room.node(peers_shown_max=2)
    one.join(1)
    one.join(2)
    for number in range(3, 8):
        other.join(number)
    one.announce(2, to_peer_id=peer(1), offer_id="o" * 20, answer=ANSWER)
    assert [to for to, _ in one.said] == [1]
    assert one.nodes.statistics().relayed_out == 0
    assert other.core.statistics().failures == {}


def test_for_a_peer_that_nobody_showed_some_nodes_are_asked_and_all_in_their_turn() -> None:
    nodes = Nodes("here", limits=NodesLimits(nodes_asked_max=2))
    nodes.update(SWARM, Shown(0, 1, [peer(1)]))
    for number in range(5):
        nodes.heard(msgspec.msgpack.encode(State(f"there{number}", 1, SWARM, 0, 9, [peer(number)])), 0)
    asked = [[far.node for far in nodes.guesses(SWARM, peer(77))] for _ in range(3)]
    assert asked == [["there0", "there1"], ["there2", "there3"], ["there4", "there0"]]
    assert nodes.statistics().failures == {"nodes_not_asked": 9}
    assert [far.node for far in nodes.holders(SWARM, peer(3))] == ["there3"]
    assert nodes.holders(SWARM, peer(77)) == []


def test_an_answer_to_nobody_is_counted_and_goes_nowhere() -> None:
    _, one, other = two_nodes()
    one.announce(1, to_peer_id=peer(7), offer_id="o" * 20, answer=ANSWER)
    assert one.core.statistics().failures == {"addressee_gone": 1}
    assert other.said == []


def test_over_many_refreshes_every_peer_of_a_large_swarm_is_shown() -> None:
    room = Room()
    one, other = room.node(peers_shown_max=3), room.node()
    other.join(99)
    for number in range(12):
        one.join(number)
    seen = set()
    for _ in range(60):
        room.pass_time(5)
        assert len(other.known()) == 3
        seen |= other.known()
    assert seen == {peer(number) for number in range(12)}


def test_what_is_older_does_not_undo_what_is_newer() -> None:
    nodes = Nodes("here")
    nodes.update(SWARM, Shown(0, 1, [peer(1)]))
    newer, older = (State("there", serial, SWARM, 0, 1, [peer(serial)]) for serial in (8, 7))
    nodes.heard(msgspec.msgpack.encode(newer), 0)
    nodes.heard(msgspec.msgpack.encode(older), 0)
    assert [far.peer_id for far in nodes.peers(SWARM)] == [peer(8)]


def test_a_key_that_was_read_counts_no_longer_than_it_lasts() -> None:
    nodes = Nodes("here")
    nodes.update(SWARM, Shown(0, 1, [peer(1)]))
    nodes.heard(msgspec.msgpack.encode(State("there", 1, SWARM, 0, 1, [peer(2)])), 0, remaining_us=2 * SECOND_US)
    nodes.expire(2 * SECOND_US - 1)
    assert nodes.counts(SWARM) == (0, 1)
    nodes.expire(2 * SECOND_US)
    assert nodes.counts(SWARM) == (0, 0)


def test_no_more_nodes_are_heard_than_the_limit() -> None:
    nodes = Nodes("here", limits=NodesLimits(nodes_max=3))
    nodes.update(SWARM, Shown(0, 1, [peer(1)]))
    for number in range(5):
        nodes.heard(msgspec.msgpack.encode(State(f"there{number}", 1, SWARM, 0, 1, [peer(number)])), 0)
    statistics = nodes.statistics()
    assert (statistics.nodes, statistics.failures) == (3, {"too_many_nodes": 2})


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "node_message_malformed"),
        (b"\xc1", "node_message_malformed"),
        (msgspec.msgpack.encode([3, "x"]), "node_message_malformed"),
        (msgspec.msgpack.encode([1, "n", -1, SWARM, 0, 0, []]), "node_message_malformed"),
        (msgspec.msgpack.encode([1, "n", 1, SWARM, 0, 1, ["short"]]), "node_message_malformed"),
        (msgspec.msgpack.encode([2, SWARM, peer(1), 7]), "node_message_malformed"),
        (msgspec.msgpack.encode(Relay(SWARM, peer(1), "x" * 200_000)), "node_message_too_large"),
    ],
)
def test_what_no_node_of_ours_would_say_is_dropped_and_counted(payload: bytes, reason: str) -> None:
    _, one, _ = two_nodes()
    one.hear(payload)
    assert one.nodes.statistics().failures == {reason: 1}
    assert one.known() == {peer(2)}


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_counted(payload: bytes) -> None:
    nodes = Nodes("here")
    nodes.update(SWARM, Shown(0, 1, [peer(1)]))
    if nodes.heard(payload, 0) is None:
        assert sum(nodes.statistics().failures.values()) <= 1
