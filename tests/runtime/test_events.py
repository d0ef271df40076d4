"""Events by type, and names that are watched."""

import logging
from dataclasses import dataclass

import pytest

from shoal.runtime import Actor, Failure, MailboxSettings, NameChanged
from shoal.runtime.testing import ManualSystem, Probe


@dataclass
class Played:
    name: str


@dataclass
class PlayedLate(Played):
    late_ms: int = 0


class Idle(Actor):
    def receive(self, message):
        return message(self) if callable(message) else None


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    system.shut_down()


def test_an_event_goes_to_those_who_subscribed_to_its_type_or_one_it_descends_from(system):
    played, late = [], []
    system.events.subscribe(Played, played.append)
    system.events.subscribe(PlayedLate, late.append)
    assert system.events.publish(Played("a")) == 1
    assert system.events.publish(PlayedLate("b", 5)) == 2
    assert system.events.publish("something else") == 0
    assert played == [Played("a"), PlayedLate("b", 5)]
    assert late == [PlayedLate("b", 5)]


def test_an_actor_is_told_events_as_messages(system):
    probe = Probe(system)
    system.events.subscribe(Played, probe.ref)
    system.events.publish(Played("a"))
    system.run_until_idle()
    assert probe.take(Played) == Played("a")


def test_an_actor_that_subscribes_again_hears_each_event_once(system):
    probe = Probe(system)
    assert system.events.subscribe(Played, probe.ref) is system.events.subscribe(Played, probe.ref)
    assert system.events.publish(Played("a")) == 1


def test_what_a_full_mailbox_refuses_is_dropped_and_counted(system):
    ref = system.spawn(Idle, mailbox=MailboxSettings(1))
    subscription = system.events.subscribe(Played, ref)
    assert [system.events.publish(Played(name)) for name in "abc"] == [1, 0, 0]
    assert subscription.dropped == system.events.dropped == 2


def test_subscriptions_end_when_closed_and_with_their_actor(system):
    seen = []
    with system.events.subscribe(Played, seen.append):
        system.events.publish(Played("a"))
    ref = system.spawn(Idle)
    system.events.subscribe(Played, ref)
    ref.stop()
    system.run_until_idle()
    assert system.events.publish(Played("b")) == 0
    assert not system.events.has_subscribers
    assert seen == [Played("a")]


def test_a_subscriber_that_fails_is_logged_and_the_others_hear(system, caplog):
    seen = []
    system.events.subscribe(Played, lambda event: 1 // 0)
    system.events.subscribe(Played, seen.append)
    system.events.publish(Played("a"))
    assert seen == [Played("a")]
    assert "a subscriber failed on Played" in caplog.text


def test_failures_are_events(system, caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")
    probe = Probe(system)
    system.events.subscribe(Failure, probe.ref)
    system.spawn(Idle).tell(lambda actor: 1 // 0)
    system.run_until_idle()
    assert isinstance(probe.take(Failure).error, ZeroDivisionError)


def test_dead_letters_about_dead_letters_do_not_go_on_for_ever(system):
    from shoal.runtime import DeadLetter, Overflow

    dead = system.spawn(Idle)
    dead.stop()
    ref = system.spawn(Idle, mailbox=MailboxSettings(1, Overflow.DROP_NEWEST))
    system.events.subscribe(DeadLetter, ref)
    system.run_until_idle()
    for _ in range(3):
        dead.tell("late")
    assert system.counters.dead_letters == {"stopped": 3, "dropped_newest": 2}


# names


def test_who_watches_a_name_hears_at_once_who_has_it_and_of_every_change(system):
    first = system.spawn(Idle, name="db")
    changes = []
    subscription = system.watch_name("db", changes.append)
    first.stop()
    system.run_until_idle()
    second = system.spawn(Idle, name="db")
    subscription.close()
    second.stop()
    system.run_until_idle()
    assert changes == [NameChanged("db", first), NameChanged("db", None), NameChanged("db", second)]


def test_an_actor_hears_of_a_name_ahead_of_other_messages_until_it_unwatches(system):
    log = []

    class Client(Actor):
        def __init__(self):
            self.watch_name("db")

        def receive(self, message):
            log.append(message)
            if message == "enough":
                self.unwatch_name("db")

    client = system.spawn(Client)
    system.run_until_idle()
    client.tell("waiting")
    db = system.spawn(Idle, name="db")
    client.tell("enough")
    system.run_until_idle()
    db.stop()
    system.run_until_idle()
    assert log == [NameChanged("db", db), "waiting", "enough"]


def test_an_actor_that_ended_watches_no_name(system):
    watcher = system.spawn(Idle)
    watcher.tell(lambda actor: actor.watch_name("db"))
    system.run_until_idle()
    watcher.stop()
    system.run_until_idle()
    system.spawn(Idle, name="db")
    assert system.counters.dead_letters == {}
