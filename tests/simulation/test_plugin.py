"""The pytest plug-in, in a pytest of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import shoal

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shoal.__file__).resolve().parent.parent)}
CONFTEST = 'pytest_plugins = ["shoal.runtime.pytest_plugin"]\n'
TESTS = """
import pytest
from shoal.runtime import Actor
from shoal.runtime.testing import run_until_idle

runs = []

class Noting(Actor):
    def __init__(self, log):
        self.log = log
    def receive(self, message):
        self.log.append(message)
        return message

@pytest.fixture
def greeting():
    return "hello"

@pytest.mark.shoal(schedules=7)
async def test_marked(shoal_system, greeting):
    assert await shoal_system.spawn(Noting, runs).ask(greeting) == "hello"

def test_that_it_ran():
    print("ran", len(runs))

@pytest.mark.shoal(strategy="pct")
async def test_order(shoal_system):
    log = []
    for i in range(4):
        shoal_system.spawn(Noting, log).tell(i)
    await run_until_idle(shoal_system)
    assert log[0] != 3

def test_by_fixture(shoal_explore):
    async def program(system):
        await system.spawn(Noting, []).ask(1)
    assert shoal_explore(program, schedules=3).distinct == 1

def test_unmarked(shoal_system):
    shoal_system.spawn
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)

    def run(*arguments):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "no:cacheprovider",
                "-rA",
                "-c",
                os.devnull,
                "--rootdir=.",
                *arguments,
            ],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout + done.stderr

    return run


def test_a_marked_test_is_explored_and_a_failure_says_how_to_replay_it(run):
    output = run()
    assert "PASSED test_it.py::test_marked" in output
    assert re.search(r"ran (7|28)\b", output), "a program of one schedule is tried 4 times as often"
    assert "FAILED test_it.py::test_order" in output
    assert "PASSED test_it.py::test_by_fixture" in output
    found = re.search(
        r"found by seed (\d+) \(pct\).*replay: pytest 'test_it.py::test_order' --shoal-seed (\d+)", output
    )
    assert found
    assert found[1] == found[2]
    again = run("test_it.py::test_order", "--shoal-seed", found[1])
    assert "assert 3 != 3" in again


def test_a_seed_is_one_run_and_schedules_can_be_set(run):
    assert "ran 1\n" in run("--shoal-seed", "5", "-k", "marked or that_it")
    assert re.search(r"ran (2|8)\b", run("--shoal-schedules", "2", "-k", "marked or that_it"))


def test_a_system_outside_of_a_marked_test_is_refused(run):
    assert "marked with @pytest.mark.shoal only" in run("-k", "unmarked")


def test_options_and_marker_are_explained(run):
    output = run("--help")
    assert "--shoal-seed" in output
    assert "--shoal-schedules" in output
    assert "explore this `async def` test" in run("--markers")


def test_the_plug_in_is_not_imported_by_the_runtime():
    code = "import sys, shoal.runtime, shoal.runtime.testing; print([m for m in sys.modules if 'pytest' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_a_system_that_is_not_simulated_imports_no_simulation():
    code = "import sys, shoal.runtime; print([m for m in sys.modules if 'simulat' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
