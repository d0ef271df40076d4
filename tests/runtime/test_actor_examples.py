"""The actor examples run alone, and print what they show."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
OUTPUT = {
    "actor_hello.py": "hello world\n",
    "actor_supervision.py": """\
60 / 10 = 6
/$1/divider: restart
started again after ZeroDivisionError('integer division or modulo by zero')
60 / 20 = 3
/$1/divider: escalate
/$1: restart
/$1/divider has ended: failed
""",
}


def test_every_actor_example_is_here():
    assert {path.name for path in EXAMPLES.glob("actor_*.py")} == set(OUTPUT)


@pytest.mark.parametrize("name", sorted(OUTPUT))
def test_an_example_prints_what_it_shows(name):
    done = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (OUTPUT[name], "", 0)
