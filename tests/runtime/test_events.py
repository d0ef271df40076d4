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


class Flapping(Actor):
    """Waits in its handler; keeps what it hears of names."""

    def __init__(self, log):
        self.log = log

    def on_start(self):
        self.watch_name("db")

    async def receive(self, message):
        self.log.append(message)
        if message == "wait":
            await self.system.find("silence").ask("x", timeout_s=1e6)


class Silence(Actor):
    def receive(self, message):
        if message == "go on":
            self.reply.set(None)
        else:
            self.reply = self.take_reply()


def test_a_name_that_flaps_fills_no_mailbox_and_the_newest_change_is_heard(system):
    log = []
    silence = system.spawn(Silence, name="silence")
    watcher = system.spawn(Flapping, log)
    watcher.tell("wait")
    system.run_until_idle()
    for _ in range(100):
        db = system.spawn(Idle, name="db")
        db.stop()
        system.run_until_idle()
    last = system.spawn(Idle, name="db")
    counters = system.counters
    assert counters.queued == 1
    assert counters.dead_letters == {"superseded": 200}
    silence.tell("go on")
    system.run_until_idle()
    assert log == ["wait", NameChanged("db", last)]


def test_a_change_that_takes_the_place_of_another_comes_after_what_was_said_in_between(system):
    log = []
    silence = system.spawn(Silence, name="silence")
    old = system.spawn(Idle, name="db")

    class Both(Flapping):
        def on_start(self):
            self.watch(old)
            super().on_start()

    watcher = system.spawn(Both, log)
    watcher.tell("wait")
    system.run_until_idle()
    old.stop()
    system.run_until_idle()
    new = system.spawn(Idle, name="db")
    silence.tell("go on")
    system.run_until_idle()
    assert [type(message).__name__ for message in log] == ["NameChanged", "str", "Terminated", "NameChanged"]
    assert log[-1] == NameChanged("db", new)


def test_an_actors_subscriptions_end_with_it_though_nothing_is_published(system):
    closed = []
    for event_type in (Played, PlayedLate):
        ref = system.spawn(Idle)
        closed.append(system.events.subscribe(event_type, ref))
        closed.append(system.events.subscribe(Failure, ref))
        ref.stop()
        system.run_until_idle()
    assert not system.events.has_subscribers
    assert system.events.of_actors == {}
    for subscription in closed:
        subscription.close()  # does nothing


def test_an_actor_that_has_ended_cannot_subscribe(system):
    ref = system.spawn(Idle)
    ref.stop()
    system.run_until_idle()
    system.events.subscribe(Played, ref).close()
    assert not system.events.has_subscribers


def test_events_that_were_dropped_are_in_the_counters_by_reason(system):
    assert system.counters.events_dropped == {}
    system.events.subscribe(Played, system.spawn(Idle, mailbox=MailboxSettings(1)))
    for name in "abc":
        system.events.publish(Played(name))
    assert system.counters.events_dropped == {"mailbox_full": 2}
    assert system.snapshot().to_dict()["counters"]["events_dropped"] == {"mailbox_full": 2}
