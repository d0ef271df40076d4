"""Print the traces of scenarios, a few seeds of each: what must be equal in every process.

    PYTHONPATH=src python tests/simulation/trace.py own|asyncio

`own` are those that use the runtime's own primitives only (tell, ask, spawn, watch,
timers, generators), `asyncio` those that sleep, gather and so on in handlers or beside them.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simulation.programs import PROGRAMS

from shoal.runtime.testing import simulate

SEEDS = 3


def main() -> None:
    wanted = sys.argv[1]
    for program in PROGRAMS:
        source = inspect.getsource(program)
        if ("asyncio." in source or "echoes(" in source) == (wanted == "own"):
            continue
        for strategy in ("random", "pct"):
            for seed in range(SEEDS):
                run = simulate(program, seed=seed, strategy=strategy)
                title = f"== {program.__name__} {strategy} {seed}: {run.steps} steps, {run.duration_us} us\n"
                sys.stdout.write(title + run.trace)


if __name__ == "__main__":
    main()
