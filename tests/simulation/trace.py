"""Print the traces of scenarios, a few seeds of each: what must be equal in every process.

    PYTHONPATH=src python tests/simulation/trace.py own|asyncio

`own` are those that use the runtime's own primitives only (tell, ask, spawn, watch,
timers, generators), `asyncio` those that sleep, gather and so on in handlers or beside them.
"""

from __future__ import annotations

import inspect
import sys

import scenarios_of_ends
import scenarios_of_life
import scenarios_of_messages
import scenarios_of_model

from shoal.runtime.testing import simulate

SEEDS = 3


def main() -> None:
    wanted = sys.argv[1]
    for program in (
        *scenarios_of_messages.SCENARIOS,
        *scenarios_of_life.SCENARIOS,
        *scenarios_of_ends.SCENARIOS,
        *scenarios_of_model.SCENARIOS,
    ):
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
