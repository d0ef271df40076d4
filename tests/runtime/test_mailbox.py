"""The ring: order, its limit, and the lane ahead of it."""

import sys

from shoal.runtime.core.mailbox import Mailbox


def drained(box):
    found = []
    while box.has_messages():
        found.append(box.pop())
    return found


def test_messages_come_out_in_the_order_they_went_in():
    box = Mailbox(100)
    for i in range(50):
        assert box.push(i)
    assert drained(box) == list(range(50))


def test_what_was_taken_out_is_held_no_longer():
    box = Mailbox(1000)
    message = object()
    held, none_held = sys.getrefcount(message), sys.getrefcount(None)
    for _ in range(1000):
        box.push(message)
    while box.count:
        assert box.pop() is message
    assert sys.getrefcount(message) == held
    del box  # an empty place holds None
    assert abs(sys.getrefcount(None) - none_held) < 100, "where None is counted at all"


def test_a_full_mailbox_refuses_and_keeps_what_it_has():
    box = Mailbox(3)
    assert [box.push(i) for i in range(5)] == [True, True, True, False, False]
    assert drained(box) == [0, 1, 2]


def test_the_limit_holds_for_one_message():
    box = Mailbox(1)
    assert box.push("a")
    assert not box.push("b")
    assert box.pop() == "a"
    assert box.push("c")


def test_an_empty_mailbox_gives_nothing():
    assert Mailbox(1).pop() is None
    assert Mailbox(1).pop_oldest() is None


def test_control_messages_go_ahead_of_waiting_ones_in_their_own_order():
    box = Mailbox(10)
    box.push("user")
    box.push_control("first")
    box.push_control("second")
    assert drained(box) == ["first", "second", "user"]


def test_a_full_mailbox_still_takes_control_messages():
    box = Mailbox(1)
    box.push("user")
    box.push_control("control")
    assert box.count == 1
    assert box.pop() == "control"


def test_the_oldest_user_message_is_dropped_whatever_the_control_lane_holds():
    box = Mailbox(3)
    box.push("old")
    box.push("new")
    box.push_control("control")
    assert box.pop_oldest() == "old"
    assert drained(box) == ["control", "new"]


def test_none_is_a_message_like_any_other():
    box = Mailbox(3)
    box.push(None)
    assert box.has_messages()
    assert box.pop() is None
    assert not box.has_messages()


def test_a_reused_mailbox_takes_the_new_limit():
    box = Mailbox(1000)
    for i in range(500):
        box.push(i)
    drained(box)
    assert box.is_bare()
    box.reuse(2)
    assert [box.push(i) for i in range(3)] == [True, True, False]
    assert drained(box) == [0, 1]
