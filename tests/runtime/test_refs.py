"""An actor's ref: nobody's own attribute gets in its way, nobody makes one by hand, and a copy is the ref itself."""

import copy
import pickle
from dataclasses import asdict, dataclass

import pytest

from shoal.runtime import Actor, ActorRef, ActorSystem
from shoal.runtime.testing import ManualSystem


class Idle(Actor):
    def receive(self, message):
        return message


class Holder(Actor):
    """Has attributes of names that programs like."""

    def __init__(self, held):
        self._ref = self._cell_of_mine = held
        self.log = []

    def receive(self, message):
        self.log.append(message)
        if message == "begin":
            self.start_timer("due", "due", delay_us=1000)
            self.start_timer("never", "never", delay_us=1000)
            return self.spawn(Idle), self.ref, self.cancel_timer("never")
        return self.log


@dataclass
class Order:
    by: ActorRef
    count: int


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    system.shut_down()


def answer(system, ref, message):
    reply = ref.ask(message)
    system.run_until_idle()
    return reply.result()


@pytest.mark.parametrize("kind", ["nothing", "another"])
def test_an_attribute_called_ref_is_the_programs_own(system, kind):
    other = system.spawn(Idle, name="other")
    holder = system.spawn(Holder, None if kind == "nothing" else other)
    child, ref, was_set = answer(system, holder, "begin")
    assert child.path.startswith(holder.path + "/")
    assert ref is holder
    assert was_set
    system.advance_us(1000)
    assert answer(system, holder, "log") == ["begin", "due", "log"]


@pytest.mark.parametrize(
    "use",
    [
        lambda actor: actor.ref,
        lambda actor: actor.system,
        lambda actor: actor.spawn(Idle),
        lambda actor: actor.start_timer("key", 1, delay_us=1),
        lambda actor: actor.cancel_timer("key"),
    ],
)
def test_an_actor_that_was_made_by_hand_says_so(use):
    with pytest.raises(TypeError, match="this Idle has no ref: actors are made by `spawn`"):
        use(Idle())


@pytest.mark.parametrize("use", [lambda actor: actor.spawn(Idle), lambda actor: actor.cancel_timer("key")])
def test_an_actor_whose_ref_was_taken_away_says_so_and_crashes_nothing(use):
    actor = Idle()
    actor._shoal_ref = None
    with pytest.raises(TypeError, match="this Idle has no ref"):
        use(actor)


@pytest.mark.parametrize("arguments", [(), (None, None)])
def test_a_ref_cannot_be_made_by_hand(arguments):
    with pytest.raises(TypeError, match="`spawn` returns"):
        ActorRef(*arguments)


@pytest.mark.parametrize(
    "use",
    [
        lambda ref: ref.tell(1),
        lambda ref: ref.ask(1),
        lambda ref: ref.send(1).send(None),
        lambda ref: ref.stop(),
        lambda ref: ref.wait_stopped().send(None),
        lambda ref: ref.name,
        lambda ref: ref.path,
        lambda ref: ref.queued,
        lambda ref: ref.is_alive,
        lambda ref: Idle.watch(Idle(), ref),
    ],
)
def test_a_ref_of_nobody_is_an_error_wherever_it_is_used(use):
    with pytest.raises((TypeError, AttributeError)):
        use(ActorRef.__new__(ActorRef))


def test_a_copy_of_a_ref_is_the_ref(system):
    ref = system.spawn(Idle)
    assert copy.copy(ref) is ref
    assert copy.deepcopy([ref]) == [ref]
    assert asdict(Order(ref, 3)) == {"by": ref, "count": 3}


def test_a_ref_that_is_pickled_says_what_to_do_instead(system):
    with pytest.raises(TypeError, match=r"/one cannot be pickled.*system\.find"):
        pickle.dumps(system.spawn(Idle, name="one"))


def test_a_question_without_an_end_is_refused(system):
    with pytest.raises(TypeError, match=r"timeout_s is None.*give seconds"):
        system.spawn(Idle).ask(1, timeout_s=None)


def test_a_system_whose_init_was_left_out_says_that_it_has_no_ref():
    class Mine(ActorSystem):
        def __init__(self):
            pass

    with pytest.raises(TypeError, match="this Mine has no ref"):
        Mine().spawn(Idle)
