"""`make_system`: the same test over every mode.  After every test: counters at zero, and nothing left behind."""

import asyncio
import gc
import importlib.util
import threading
import time
from pathlib import Path

import pytest

from shoal.runtime import ActorSystem

MODES = ("cooperative", "threaded", "auto")
DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
def make_system(mode):
    """Makes a system of the mode."""

    def make(**options):
        return ActorSystem(mode=mode, **options)

    return make


@pytest.fixture(scope="session", autouse=True)
def loops_have_been_made():
    """uvloop opens two descriptors with its first loop, and keeps them."""
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asyncio.sleep(0))


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch):
    """Fail a test after which a thread or a descriptor is left, or an ended system has an actor, message or timer."""
    systems = []
    begin = ActorSystem.start

    def start(system, *args, **kwargs):
        systems.append(system)
        return begin(system, *args, **kwargs)

    monkeypatch.setattr(ActorSystem, "start", start)
    descriptors = count_descriptors()
    yield
    wait_for(lambda: not threads_of_shoal(), lambda: f"threads are left: {threads_of_shoal()}")
    for system in systems:
        life = system._life
        if life._is_closed:  # a ManualSystem need not be ended: it has nothing but objects
            counters = system.counters
            assert counters.actors == counters.queued == counters.handling == counters.in_flight == 0
            assert len(life.scheduler.timers) == 0
        else:
            assert life._driver is None or life.loop is None, f"{system} was not ended"
    if descriptors < count_descriptors():
        gc.collect()  # what a test opened by itself, and nobody holds
        assert count_descriptors() <= descriptors, "descriptors are left open"


def threads_of_shoal():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("shoal")]


def count_descriptors():
    """0 where that cannot be known."""
    return len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.is_dir() else 0


def wait_for(condition, complaint):
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s, complaint()
        time.sleep(0.001)
