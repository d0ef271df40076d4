"""Two sides of a bridge: each ask is settled once, tells keep their order, and nothing unregistered is reached."""

from __future__ import annotations

import json
from collections import deque

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shoal.transports.errors import BadMessage, ChannelClosed, MessageTooLarge, Overloaded
from shoal.transports.sansio.bridge import BridgeCore
from shoal.transports.sansio.bridge_actions import Abandoned, Answered, Closed, Deliver, Failed, Opened, Problem, Send
from shoal.transports.sansio.bridge_frames import BridgeLimits

SECOND = 1_000_000


class Note(msgspec.Struct):
    number: int
    data: bytes = b""


class Other(msgspec.Struct):
    number: int


def pair(limits=None, **options):
    """One that begins, and one that does not, each with an actor `it` that takes Note and answers with int."""
    sides = (BridgeCore(limits, begins=True, **options), BridgeCore(limits, **options))
    for side in sides:
        side.expose("it", [Note])
        side.reach("it", [Note], int)
    return sides


def pass_on(actions, to, now_us=0):
    """What `to` does when what `actions` send has come."""
    found = []
    for action in actions:
        if isinstance(action, Send):
            found += to.receive(action.wire.text, action.wire.parts, now_us)
    return found


def opened(limits=None):
    page, python = pair(limits)
    python.begin(0)
    pass_on(pass_on(page.begin(0), python), page)
    assert page.is_open
    assert python.is_open
    return page, python


def frame(**fields):
    return json.dumps(fields), ()


def test_a_message_is_delivered_to_who_is_registered():
    page, python = opened()
    assert pass_on(page.tell("it", Note(1, b"x")), python) == [Deliver("it", Note(1, b"x"))]


def test_an_answer_comes_to_who_asked():
    page, python = opened()
    number, actions = page.ask("it", Note(1), 0)
    assert pass_on(actions, python) == [Deliver("it", Note(1), number, 5 * SECOND)]
    assert pass_on(python.answer(number, 7), page) == [Answered(number, 7)]
    assert python.answer(number, 8) == []
    assert page.statistics().asked == python.statistics().questions == 0


def test_an_error_comes_by_its_name():
    page, python = opened()
    number, actions = page.ask("it", Note(1), 0)
    pass_on(actions, python)
    assert pass_on(python.fail(number, Problem("Overdrawn", "by 3\ud800")), page) == [
        Failed(number, Problem("Overdrawn", "by 3?"))
    ]


@pytest.mark.parametrize(
    ("fields", "reason", "name"),
    [
        ({"to": "nobody", "type": "Note", "body": {"number": 1}}, "unknown_name", "NotRegistered"),
        ({"to": "it", "type": "Other", "body": {"number": 1}}, "unknown_type", "NotRegistered"),
        ({"to": "it", "type": "__class__", "body": {}}, "unknown_type", "NotRegistered"),
        ({"to": "it", "type": "Note", "body": {"number": "1"}}, "bad_message", "BadMessage"),
        ({"to": "it", "type": "Note", "body": {"number": 1, "more": 1}}, "bad_message", "BadMessage"),
    ],
)
def test_what_is_not_registered_is_not_reached_and_is_counted(fields, reason, name):
    _, python = opened()
    assert python.receive(*frame(op="tell", **fields), 0) == []
    (action,) = python.receive(*frame(op="ask", id=5, ms=1000, **fields), 0)
    answer = json.loads(action.wire.text)
    assert (answer["op"], answer["id"], answer["name"]) == ("fail", 5, name)
    assert python.statistics().dropped == {reason: 2}
    assert python.statistics().questions == 0


def test_our_own_message_is_checked_before_it_is_sent():
    page, _ = opened(BridgeLimits(bytes_max=10))
    sent = page.statistics().sent
    with pytest.raises(BadMessage, match="Other is none of the messages registered here, which are Note"):
        page.tell("it", Other(1))
    with pytest.raises(BadMessage):
        page.tell("it", Note(2**53))
    with pytest.raises(MessageTooLarge):
        page.ask("it", Note(1, bytes(11)), 0)
    assert page.statistics().sent == sent
    assert page.statistics().asked == 0


def test_an_answer_that_is_not_of_the_type_is_an_error():
    page, python = opened()
    number, actions = page.ask("it", Note(1), 0)
    pass_on(actions, python)
    (failed,) = pass_on(python.answer(number, "seven"), page)
    assert failed.problem.name == "BadMessage"
    assert "Expected `int`" in failed.problem.message


def test_an_answer_that_cannot_cross_is_an_error():
    page, python = opened()
    number, actions = page.ask("it", Note(1), 0)
    pass_on(actions, python)
    (failed,) = pass_on(python.answer(number, 2**60), page)
    assert failed.problem.name == "BadMessage"
    assert "JavaScript" in failed.problem.message


def test_an_ask_ends_at_its_time_and_a_late_answer_is_counted():
    page, python = opened()
    number, actions = page.ask("it", Note(1), 0)
    pass_on(actions, python)
    assert page.next_deadline_us == 5 * SECOND
    assert page.expire(5 * SECOND - 1) == []
    failed, cancel = page.expire(5 * SECOND)
    assert failed == Failed(number, Problem("AskTimedOut", "it did not answer within 5 s"))
    late = python.answer(number, 7)
    assert pass_on([cancel], python) == []
    assert pass_on(late, page) == []
    assert page.statistics().dropped == {"late_answer": 1}


def test_who_waits_no_longer_is_told_of():
    page, python = opened()
    number, actions = page.ask("it", Note(1), 0)
    pass_on(actions, python)
    assert pass_on(page.give_up(number), python) == [Abandoned(number)]
    assert python.answer(number, 1) == []
    assert page.give_up(number) == []


def test_a_wait_is_no_longer_than_this_side_allows():
    _, python = opened()
    text, parts = frame(op="ask", id=1, ms=10**9, to="it", type="Note", body={"number": 1})
    (action,) = python.receive(text, parts, 0)
    assert action.timeout_us == 5 * SECOND
    (action,) = python.receive(*frame(op="ask", id=2, ms=20, to="it", type="Note", body={"number": 1}), 0)
    assert action.timeout_us == 20_000


def test_as_many_asks_are_open_as_either_side_allows():
    page, python = opened(BridgeLimits(asks_max=2))
    for _ in range(2):
        pass_on(page.ask("it", Note(1), 0)[1], python)
    with pytest.raises(Overloaded):
        page.ask("it", Note(1), 0)
    (action,) = python.receive(*frame(op="ask", id=9, ms=1, to="it", type="Note", body={"number": 1}), 0)
    assert json.loads(action.wire.text)["name"] == "Overloaded"
    assert page.statistics().dropped == python.statistics().dropped == {"overloaded": 1}


def test_a_number_is_used_once_while_it_is_open():
    page, python = opened()
    _, actions = page.ask("it", Note(1), 0)
    assert len(pass_on(actions, python)) == 1
    assert pass_on(actions, python) == []
    assert python.statistics().dropped == {"malformed": 1}


def test_the_end_fails_every_ask_and_abandons_every_question():
    page, python = opened()
    number, actions = page.ask("it", Note(1), 0)
    pass_on(actions, python)
    goodbye, closed = python.close("enough"), None
    assert goodbye[1:] == [Abandoned(number), Closed("enough")]
    failed, closed = pass_on(goodbye, page)
    assert failed.problem.name == "BridgeClosed"
    assert closed == Closed("by the other side: enough")
    assert page.close("again") == []
    with pytest.raises(ChannelClosed):
        page.tell("it", Note(1))
    assert page.receive(*frame(op="hello", version=1), 0) == []


@pytest.mark.parametrize("token", [None, "", "wrong", "secret-and-more", "sécret"])
def test_who_has_not_the_token_is_closed_and_told(token):
    python = BridgeCore(token="secret")
    python.expose("it", [Note])
    python.begin(0)
    text = json.dumps({"op": "hello", "version": 1, "token": token})
    actions = python.receive(text, (), 0)
    assert actions[-1] == Closed("the token is missing or wrong")
    assert not python.is_open
    assert not any(isinstance(action, Opened | Deliver) for action in actions)


def test_who_has_the_token_comes_in():
    page, python = pair(token="secret")
    python.begin(0)
    assert Opened() in pass_on(page.begin(0), python)


@pytest.mark.parametrize(
    "text", ['{"op":"tell","to":"it","type":"Note","body":{"number":1}}', "nonsense", "x" * 300_000]
)
def test_nothing_is_taken_before_hello(text):
    _, python = pair()
    python.begin(0)
    actions = python.receive(text, (), 0)
    assert isinstance(actions[-1], Closed)
    assert not any(isinstance(action, Deliver) for action in actions)


@pytest.mark.parametrize("end", ["", "\\", '"'])
def test_a_string_that_hides_quotes_is_read_once(end):
    _, python = opened()
    text = "[" * 40 + '"' + '\\"' * 131_000 + end  # read from each quote again, it would take minutes
    assert python.receive(text, (), 0) == []
    assert python.statistics().dropped == {"malformed": 1}


@pytest.mark.parametrize(
    ("text", "parts"), [(json.dumps({"op": "x" * 8200}), ()), ('{"op":"hello","version":1}', (b"x",))]
)
def test_what_is_larger_than_a_hello_is_not_read_of_strangers(text, parts):
    python = BridgeCore(token="secret")
    python.begin(0)
    assert python.receive(text, parts, 0)[-1] == Closed("the other side did not begin with hello")
    assert python.statistics().dropped == {"too_large": 1}


def test_the_longest_hello_and_the_longest_goodbye_are_read_of_strangers():
    python = BridgeCore(token="\u1234" * 200)
    python.begin(0)
    assert python.receive(*frame(op="hello", version=1, token="\u1234" * 200), 0)[-1] == Opened()
    python = BridgeCore()
    python.begin(0)
    assert python.receive(*frame(op="bye", why="\u1234" * 1000), 0) == [Closed("by the other side: " + "\u1234" * 1000)]


def test_another_version_is_refused_in_words():
    _, python = pair()
    python.begin(0)
    assert python.receive(*frame(op="hello", version=2), 0)[-1] == Closed(
        "the other side speaks version 2 of the bridge, this one 1"
    )


def test_who_says_no_hello_is_closed_in_time():
    _, python = pair()
    python.begin(10)
    assert python.next_deadline_us == 10 + 5 * SECOND
    assert python.expire(5 * SECOND) == []
    assert isinstance(python.expire(10 + 5 * SECOND)[-1], Closed)


def test_a_second_hello_changes_nothing():
    _, python = opened()
    assert python.receive(*frame(op="hello", version=1), 0) == []
    assert python.is_open
    assert python.statistics().dropped == {"malformed": 1}


def test_limits_leave_room_for_errors():
    with pytest.raises(ValueError, match="errors take"):
        BridgeCore(BridgeLimits(text_characters_max=100))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["it", "Note", "number"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["number", "data", "x"]), inner),
    max_leaves=6,
)
near_frames = st.fixed_dictionaries(
    {"op": st.sampled_from(["hello", "tell", "ask", "answer", "fail", "cancel", "bye", "x"])},
    optional={
        "id": st.integers(-1, 3) | json_values,
        "to": st.just("it") | json_values,
        "type": st.just("Note") | json_values,
        "body": st.just({"number": 1}) | st.just({"number": 1, "data": None}) | json_values,
        "at": st.just([]) | st.just([["data"]]) | json_values,
        "ms": st.integers(0, 10) | json_values,
        "version": st.integers(0, 2),
        "why": st.text(max_size=5),
        "name": st.text(max_size=5),
        "message": st.text(max_size=5),
        "more": json_values,
    },
)


@given(st.lists(st.tuples(near_frames.map(json.dumps) | st.text(), st.lists(st.binary(max_size=3), max_size=2))))
def test_whatever_comes_only_what_is_registered_is_delivered(frames):
    _, python = opened()
    for text, parts in frames:
        for action in python.receive(text, parts, 0):
            if isinstance(action, Deliver):
                assert action.to == "it"
                assert type(action.message) is Note
        assert python.statistics().questions <= python.limits.asks_max


class Bridges(RuleBasedStateMachine):
    """Two sides, frames on their way in order, and a model: what was asked, and how it ended."""

    def __init__(self):
        super().__init__()
        self.now_us = 0
        self.sides = pair(BridgeLimits(asks_max=3))
        self.on_the_way = (deque(), deque())  # to 0, to 1
        self.told = ([], [])  # by 0, by 1
        self.heard = ([], [])  # of 0's, of 1's
        self.open_questions = ([], [])  # at 0, at 1
        self.asked = ({}, {})  # number -> how often it ended
        self.is_closed = [False, False]

    @initialize()
    def begin(self):
        for side in (1, 0):
            self.perform(side, self.sides[side].begin(0))

    def perform(self, side, actions):
        for action in actions:
            assert not self.is_closed[side], "Closed is the last"
            match action:
                case Send(wire):
                    self.on_the_way[1 - side].append(wire)
                case Deliver(message=message, ask=None):
                    self.heard[1 - side].append(message)
                case Deliver(ask=number):
                    self.open_questions[side].append(number)
                case Answered(number, value):
                    assert value == number
                    self.asked[side][number] += 1
                case Failed(number):
                    self.asked[side][number] += 1
                case Closed():
                    self.is_closed[side] = True

    @rule(side=st.integers(0, 1), data=st.binary(max_size=4))
    def tell(self, side, data):
        message = Note(len(self.told[side]), data)
        try:
            self.perform(side, self.sides[side].tell("it", message))
        except ChannelClosed:
            return
        self.told[side].append(message)

    @rule(side=st.integers(0, 1))
    def ask(self, side):
        try:
            number, actions = self.sides[side].ask("it", Note(0), self.now_us)
        except (ChannelClosed, Overloaded):
            return
        self.asked[side][number] = 0
        self.perform(side, actions)

    @rule(side=st.integers(0, 1), data=st.data())
    def answer(self, side, data):
        if self.open_questions[side]:
            number = data.draw(st.sampled_from(self.open_questions[side]))
            self.open_questions[side].remove(number)
            how = data.draw(st.booleans())
            core = self.sides[side]
            self.perform(side, core.answer(number, number) if how else core.fail(number, Problem("E", "e")))

    @rule(side=st.integers(0, 1), data=st.data())
    def give_up(self, side, data):
        waiting = [number for number, ends in self.asked[side].items() if not ends]
        if waiting:
            number = data.draw(st.sampled_from(waiting))
            self.asked[side][number] += 1
            self.perform(side, self.sides[side].give_up(number))

    @rule(side=st.integers(0, 1))
    def arrive(self, side):
        if self.on_the_way[side]:
            wire = self.on_the_way[side].popleft()
            self.perform(side, self.sides[side].receive(wire.text, wire.parts, self.now_us))

    @rule(step_us=st.integers(0, 4 * SECOND))
    def time_goes_on(self, step_us):
        self.now_us += step_us
        for side in (0, 1):
            self.perform(side, self.sides[side].expire(self.now_us))
            deadline_us = self.sides[side].next_deadline_us
            assert deadline_us is None or deadline_us > self.now_us

    @precondition(lambda self: all(side.is_open for side in self.sides))
    @rule(side=st.integers(0, 1))
    def close(self, side):
        self.perform(side, self.sides[side].close("over"))

    @invariant()
    def nothing_ends_twice_and_limits_hold(self):
        for side in (0, 1):
            assert all(ends <= 1 for ends in self.asked[side].values())
            waiting = sum(not ends for ends in self.asked[side].values())
            assert waiting == self.sides[side].statistics().asked <= 3
            assert self.sides[side].statistics().questions <= 3
            heard = self.heard[side]
            assert heard == self.told[side][: len(heard)], "in order, none twice, none lost before the end"

    def teardown(self):
        for side in (0, 1):
            while self.on_the_way[side]:
                self.arrive(side)
        for side in (0, 1):
            self.perform(side, self.sides[side].close("the end"))
            assert all(ends == 1 for ends in self.asked[side].values())


TestBridges = Bridges.TestCase
