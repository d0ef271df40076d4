"""`make_system`: the same test over every mode, and no thread left behind."""

import threading
import time

import pytest

from shoal.runtime import ActorSystem

MODES = ("cooperative", "threaded", "auto")


def runtime_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("shoal")]


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
def make_system(mode):
    """Makes a system of the mode; afterwards all its threads must have ended."""

    def make(**options):
        return ActorSystem(mode=mode, **options)

    yield make
    deadline_s = time.monotonic() + 2
    while runtime_threads() and time.monotonic() < deadline_s:
        time.sleep(0.001)
    assert runtime_threads() == []
