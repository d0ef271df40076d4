"""Explore all scenarios, a few schedules of each and then more, until one fails; print what found it.

    PYTHONPATH=src python tests/simulation/find_bug.py [SCHEDULES]

Run by test_planted.py with a runtime that has a bug.  Exit code 0 when something was found, 3 when not.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simulation.programs import PROGRAMS

from shoal.runtime.testing import explore

ROUNDS = (2, 10, 50)  # schedules of each scenario and strategy: most bugs show at once, some need luck


def main() -> int:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS[-1]
    seed = 0
    for schedules in [*(each for each in ROUNDS if each < most), most]:
        for program in PROGRAMS:
            for strategy in ("random", "pct"):
                try:
                    explore(program, schedules=schedules, strategy=strategy, seed=seed, steps_max=20_000)
                except BaseException as error:  # whatever it is, it was found
                    first = str(error).partition("\n")[0]
                    sys.stdout.write(f"{program.__name__}: {type(error).__name__}: {first} {error.__notes__}\n")
                    return 0
        seed += schedules
    return 3


if __name__ == "__main__":
    sys.exit(main())
