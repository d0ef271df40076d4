"""Each scenario on a thousand schedules of its own, half random and half PCT.

SHOAL_EFFORT multiplies the number (10 in a soak); legs that are there for their checks take a tenth.
"""

import os

import pytest

from .programs import PROGRAMS

EFFORT = float(os.environ.get("SHOAL_EFFORT", "1"))
SCHEDULES = int(500 * EFFORT * (1 if os.environ.get("SHOAL_LEG", "fast") == "fast" else 0.1))


def test_there_are_enough_scenarios():
    assert len(PROGRAMS) >= 15
    assert len({program.__name__ for program in PROGRAMS}) == len(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_scenario_holds_on_every_schedule(program, shoal_explore):
    taken = set()  # by both strategies: what both take counts once

    def note(run):
        taken.add(run.schedule.tobytes())

    for strategy in ("pct", "random"):
        found = shoal_explore(program, strategy=strategy, schedules=SCHEDULES, check_run=note)
        assert found.distinct >= SCHEDULES
    assert len(taken) > 2 * SCHEDULES * 0.95  # of a small program the two share some
