"""A store on disk whose writers are killed at any moment: 50 times here, 1,000 in `make soak`."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.transports.native import disk as module
from shoal.transports.native.disk import Disk

from ..effort import EFFORT
from . import killed_writers

PROGRAM = Path(killed_writers.__file__)


@pytest.mark.real
def test_a_store_whose_writers_are_killed_stays_whole_and_honest(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    command = [sys.executable, str(PROGRAM), str(tmp_path), str(50 * EFFORT), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120 * EFFORT)
    assert done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr}"
    told = json.loads(done.stdout)
    assert told["runs"] == 50 * EFFORT
    assert told["wrong"] == []


# What a writer does between the first byte and the last: killed at each of these in turn.
STEPS = ("open", "write", "replace", "unlink", "close")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_done", [False, True])
def test_a_writer_killed_at_any_step_leaves_a_store_that_can_be_put_in_order(
    tmp_path: Path, step: str, is_done: bool
) -> None:
    full = Disk(tmp_path, bytes_max=killed_writers.BYTES_MAX, files_max=3)
    full.open()
    for number in range(3):
        full.put(killed_writers.body_of(4 * number + 3), worth=1)
    full.close()
    child = os.fork()
    if child == 0:
        try:
            disk = Disk(tmp_path, bytes_max=killed_writers.BYTES_MAX, files_max=3)
            disk.open()
            die_at(step, is_done=is_done)
            disk.put(killed_writers.body_of(15), worth=1)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, "the step was never taken"
    assert killed_writers.problems(tmp_path) == []


def die_at(step: str, *, is_done: bool) -> None:
    """This process kills itself before, or right after, the next such step."""
    owner = Path if step in {"replace", "unlink"} else module.os
    real: Callable[..., object] = getattr(owner, step)

    def deadly(*arguments: object, **more: object) -> None:
        if is_done:
            real(*arguments, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, step, deadly)
